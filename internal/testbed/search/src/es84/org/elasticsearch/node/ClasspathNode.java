package org.elasticsearch.node;

import java.util.List;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.ClasspathPluginsService;
import org.elasticsearch.plugins.Plugin;

/** A node with plugins of the classpath. */
public final class ClasspathNode extends Node {
    public ClasspathNode(Environment env, List<Class<? extends Plugin>> plugins) {
        super(env, settings -> new ClasspathPluginsService(settings, env.configFile(), plugins), true);
    }
}
