package testbed;

import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.PluginInfo;

/** OpenSearch 3.x. */
public final class Main extends Node {
    private Main(Environment env, List<PluginInfo> plugins) {
        super(env, plugins, true);
    }

    private static PluginInfo info(Class<? extends Plugin> plugin) {
        return new PluginInfo(plugin.getName(), "on the classpath", "1", Version.CURRENT, "21", plugin.getName(),
            null, Collections.emptyList(), false);
    }

    public static void main(String[] args) throws Exception {
        Launch launch = new Launch(args);
        Settings.Builder settings = Settings.builder();
        launch.settings.forEach(settings::put);
        Environment env = InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Collections.emptyMap(), launch.home.resolve("config"), () -> "n1");
        Node node = new Main(env, launch.plugins(Plugin.class).stream().map(Main::info).collect(Collectors.toList()));
        node.start();
        launch.started(node);
    }
}
