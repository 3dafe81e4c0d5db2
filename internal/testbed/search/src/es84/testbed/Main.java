package testbed;

import java.util.List;
import java.util.Map;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.ClasspathNode;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.Plugin;

/** Elasticsearch 8.4 to 8.11. */
public final class Main {
    public static void main(String[] args) throws Exception {
        Launch launch = new Launch(args);
        LogConfigurator.configureESLogging();
        Settings.Builder settings = Settings.builder();
        launch.settings.forEach(settings::put);
        Environment env = InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Map.of(), launch.home.resolve("config"), () -> "n1");
        List<Class<? extends Plugin>> plugins = launch.plugins(Plugin.class);
        if (!hasRoot()) {
            plugins.add(Root.class);
        }
        Node node = new ClasspathNode(env, plugins);
        node.start();
        launch.started(node);
    }

    /** Whether the server itself answers `GET /`, as it did before that became a module. */
    private static boolean hasRoot() {
        try {
            Class.forName("org.elasticsearch.rest.action.RestMainAction");
            return true;
        } catch (ClassNotFoundException absent) {
            return false;
        }
    }
}
