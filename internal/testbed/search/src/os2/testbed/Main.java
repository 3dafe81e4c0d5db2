package testbed;

import java.util.Collections;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/** OpenSearch 1.x, 2.x and 3.0. */
public final class Main extends Node {
    private Main(Environment env, Launch launch) {
        super(env, launch.plugins(Plugin.class), true);
    }

    public static void main(String[] args) throws Exception {
        Launch launch = new Launch(args);
        Settings.Builder settings = Settings.builder();
        launch.settings.forEach(settings::put);
        Node node = new Main(InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Collections.emptyMap(), launch.home.resolve("config"), () -> "n1"), launch);
        node.start();
        launch.started(node);
    }
}
