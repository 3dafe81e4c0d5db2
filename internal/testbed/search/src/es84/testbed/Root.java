package testbed;

import java.util.List;
import java.util.function.Supplier;
import org.elasticsearch.Version;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/** `GET /`: in 8.x it comes with a module (rest-root) that is on no Maven repository. */
public final class Root extends Plugin implements ActionPlugin {
    @Override
    public List<RestHandler> getRestHandlers(Settings settings, RestController rest, ClusterSettings cluster,
            IndexScopedSettings index, SettingsFilter filter, IndexNameExpressionResolver names, Supplier<DiscoveryNodes> nodes) {
        return List.of(new BaseRestHandler() {
            @Override
            public String getName() {
                return "root";
            }

            @Override
            public List<Route> routes() {
                return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
            }

            @Override
            protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
                return channel -> {
                    try (XContentBuilder json = channel.newBuilder()) {
                        json.startObject().field("name", "n1").field("cluster.name", "testbed").startObject("version")
                            .field("number", Version.CURRENT.toString())
                            .field("lucene_version", org.apache.lucene.util.Version.LATEST.toString())
                            .endObject().field("tagline", "You Know, for Search").endObject();
                        channel.sendResponse(new RestResponse(RestStatus.OK, json));
                    }
                };
            }
        });
    }
}
