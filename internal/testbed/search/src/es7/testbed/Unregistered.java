package testbed;

import java.util.Collections;
import java.util.Map;
import org.elasticsearch.index.mapper.Mapper;
import org.elasticsearch.index.mapper.MetadataFieldMapper;
import org.elasticsearch.plugins.MapperPlugin;
import org.elasticsearch.plugins.Plugin;

/** Fields that later versions have in the server's jar, but registered by modules that are on no Maven repository: data streams, geo_shape. */
public final class Unregistered extends Plugin implements MapperPlugin {
    @Override
    public Map<String, MetadataFieldMapper.TypeParser> getMetadataMappers() {
        return named("_data_stream_timestamp", "org.elasticsearch.index.mapper.DataStreamTimestampFieldMapper", MetadataFieldMapper.TypeParser.class);
    }

    @Override
    public Map<String, Mapper.TypeParser> getMappers() {
        return named("geo_shape", "org.elasticsearch.index.mapper.GeoShapeFieldMapper", Mapper.TypeParser.class);
    }

    private static <T> Map<String, T> named(String name, String mapper, Class<T> type) {
        try {
            return Collections.singletonMap(name, type.cast(Class.forName(mapper).getField("PARSER").get(null)));
        } catch (ReflectiveOperationException older) {
            return Collections.emptyMap();
        }
    }
}
