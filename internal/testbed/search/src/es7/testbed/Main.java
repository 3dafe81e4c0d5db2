package testbed;

import java.util.Collections;
import java.util.List;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.Plugin;

/** Elasticsearch 7.x. */
public final class Main extends Node {
    private Main(Environment env, Launch launch) {
        super(env, plugins(launch), true);
    }

    private static List<Class<? extends Plugin>> plugins(Launch launch) {
        List<Class<? extends Plugin>> plugins = launch.plugins(Plugin.class);
        plugins.add(Unregistered.class);
        return plugins;
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
