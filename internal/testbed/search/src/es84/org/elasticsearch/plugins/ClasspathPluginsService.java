package org.elasticsearch.plugins;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.elasticsearch.Version;
import org.elasticsearch.common.settings.Settings;

/** Plugins taken from the classpath instead of the modules directory. In this package for what is not public. */
public final class ClasspathPluginsService extends PluginsService {
    private final List<LoadedPlugin> plugins;

    public ClasspathPluginsService(Settings settings, Path config, List<Class<? extends Plugin>> classes) {
        super(settings, config, null, null);
        plugins = classes.stream().map(type -> new LoadedPlugin(
            new PluginDescriptor(type.getName(), "on the classpath", "1", Version.CURRENT, "17", type.getName(), null,
                List.of(), false, false, false, false),
            loadPlugin(type, settings, config))).collect(Collectors.toList());
        loadExtensions(plugins);
    }

    @Override
    protected List<LoadedPlugin> plugins() {
        return plugins;
    }

    /** Overrides what came after 8.7 and looks for the server's module, which it is not on the classpath. */
    @SuppressWarnings("rawtypes")
    protected void addServerExportsService(Map exports) {}
}
