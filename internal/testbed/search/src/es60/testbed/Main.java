package testbed;

import java.util.Collections;
import org.elasticsearch.cli.Terminal;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.Plugin;

/** Elasticsearch 6.0 to 6.3. */
public final class Main extends Node {
    private Main(Environment env, Launch launch) {
        super(env, launch.plugins(Plugin.class));
    }

    public static void main(String[] args) throws Exception {
        Launch launch = new Launch(args).rename("transport.tcp.port", "transport.port");
        Settings.Builder settings = Settings.builder();
        launch.settings.forEach(settings::put);
        Node node = new Main(InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Terminal.DEFAULT, Collections.emptyMap(), launch.home.resolve("config")), launch);
        node.start();
        launch.started(node);
    }
}
