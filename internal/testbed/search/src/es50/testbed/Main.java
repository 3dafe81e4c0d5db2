package testbed;

import java.util.Collections;
import org.elasticsearch.cli.Terminal;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.internal.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.Plugin;

/** Elasticsearch 5.0. */
public final class Main extends Node {
    private Main(Environment env, Launch launch) {
        super(env, launch.plugins(Plugin.class));
    }

    public static void main(String[] args) throws Exception {
        Launch launch = new Launch(args).rename("transport.tcp.port", "transport.port");
        launch.settings.remove("discovery.type"); // it finds no others by these instead
        launch.settings.put("discovery.zen.ping.unicast.hosts", "127.0.0.1:" + launch.settings.get("transport.tcp.port"));
        launch.settings.put("discovery.zen.minimum_master_nodes", "1");
        Settings settings = Settings.builder().put(launch.settings).build();
        Node node = new Main(
            InternalSettingsPreparer.prepareEnvironment(settings, Terminal.DEFAULT, Collections.emptyMap()), launch);
        node.start();
        launch.started(node);
    }
}
