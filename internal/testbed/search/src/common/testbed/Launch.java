package testbed;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What every node needs, whatever its version: its settings from the command line
 * (HTTP_PORT DATA_DIR REPO_DIR [setting=value ...]) and the plugin classes present on the classpath.
 */
final class Launch {
    private static final String SECURITY = "org.opensearch.security.OpenSearchSecurityPlugin";
    private static final String[] PLUGINS = {
        // transport and HTTP
        "org.elasticsearch.transport.Netty4Plugin", "org.elasticsearch.transport.netty4.Netty4Plugin",
        "org.opensearch.transport.Netty4Plugin", "org.opensearch.transport.Netty4ModulePlugin",
        // _reindex, _update_by_query, _delete_by_query
        "org.elasticsearch.index.reindex.ReindexPlugin", "org.elasticsearch.reindex.ReindexPlugin",
        "org.opensearch.index.reindex.ReindexPlugin", "org.opensearch.index.reindex.ReindexModulePlugin",
        // join fields
        "org.elasticsearch.join.ParentJoinPlugin",
        "org.opensearch.join.ParentJoinPlugin", "org.opensearch.join.ParentJoinModulePlugin",
        // scaled_float, rank_feature, ...
        "org.elasticsearch.index.mapper.MapperExtrasPlugin",
        "org.opensearch.index.mapper.MapperExtrasPlugin", "org.opensearch.index.mapper.MapperExtrasModulePlugin",
        // ingest processors, analyzers, scripts
        "org.elasticsearch.ingest.common.IngestCommonPlugin",
        "org.opensearch.ingest.common.IngestCommonPlugin", "org.opensearch.ingest.common.IngestCommonModulePlugin",
        "org.elasticsearch.analysis.common.CommonAnalysisPlugin",
        "org.opensearch.analysis.common.CommonAnalysisPlugin", "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
        "org.elasticsearch.painless.PainlessPlugin",
        "org.opensearch.painless.PainlessPlugin", "org.opensearch.painless.PainlessModulePlugin",
        // read-only repositories behind HTTP; geo_shape, geohash_grid and the like
        "org.opensearch.plugin.repository.url.URLRepositoryPlugin", "org.opensearch.plugin.repository.url.URLRepositoryModulePlugin",
        "org.opensearch.geo.GeoPlugin", "org.opensearch.geo.GeoModulePlugin",
        SECURITY,
    };

    final Map<String, String> settings = new LinkedHashMap<>();
    final Path home;
    final int httpPort;

    Launch(String[] args) throws Exception {
        httpPort = Integer.parseInt(args[0]);
        tether();
        home = Paths.get(args[1]).toAbsolutePath();
        Path repo = Paths.get(args[2]).toAbsolutePath();
        Files.createDirectories(home.resolve("config"));
        Files.createDirectories(repo);
        settings.put("path.home", home.toString());
        settings.put("path.data", home.resolve("data").toString());
        settings.put("path.logs", home.resolve("logs").toString());
        settings.put("path.repo", repo.toString());
        settings.put("cluster.name", "testbed");
        settings.put("node.name", "n1");
        settings.put("network.host", "127.0.0.1");
        settings.put("http.port", args[0]);
        settings.put("transport.port", Integer.toString(httpPort + 100));
        if (Launch.class.getResource("/" + SECURITY.replace('.', '/') + ".class") == null) { // it brings its own
            settings.put("http.type", "netty4");
            settings.put("transport.type", "netty4");
        }
        settings.put("discovery.type", "single-node");
        settings.put("cluster.routing.allocation.disk.threshold_enabled", "false");
        for (int i = 3; i < args.length; i++) {
            int eq = args[i].indexOf('=');
            settings.put(args[i].substring(0, eq), args[i].substring(eq + 1));
        }
    }

    /** Gives a setting the name it had in an older version. */
    Launch rename(String to, String from) {
        String value = settings.remove(from);
        if (value != null) {
            settings.put(to, value);
        }
        return this;
    }

    <T> List<Class<? extends T>> plugins(Class<T> type) {
        List<Class<? extends T>> found = new ArrayList<>();
        for (String name : PLUGINS) {
            try {
                found.add(Class.forName(name).asSubclass(type));
            } catch (ClassNotFoundException absent) {
                // another version's name, or not among this profile's dependencies
            }
        }
        return found;
    }

    /** With TETHER in the environment, the node ends when its standard input does: it never outlives its starter. */
    private static void tether() {
        if (System.getenv("TETHER") == null) {
            return;
        }
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // nothing is said to a node this way
                }
            } catch (IOException gone) {
                // as good as its end
            }
            Runtime.getRuntime().halt(3);
        }, "tether");
        watch.setDaemon(true);
        watch.start();
    }

    void started(AutoCloseable node) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        System.out.printf("started http=127.0.0.1:%d jvm_uptime_ms=%d pid=%d%n",
            httpPort, ManagementFactory.getRuntimeMXBean().getUptime(), ProcessHandle.current().pid());
        // The server's own threads may all be daemons: keep the JVM alive until it is signalled.
        Thread keepAlive = new Thread(() -> {
            try {
                Thread.currentThread().join();
            } catch (InterruptedException stop) {
                // falls through
            }
        }, "keep-alive");
        keepAlive.start();
    }
}
