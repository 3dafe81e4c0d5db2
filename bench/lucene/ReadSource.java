import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.lucene.codecs.StoredFieldsReader;
import org.apache.lucene.index.CodecReader;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.FilterLeafReader;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.SoftDeletesDirectoryReaderWrapper;
import org.apache.lucene.index.StoredFieldVisitor;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.Bits;

/**
 * The baseline: one thread, every live document's `_source` out of Lucene's own stored fields, in document order,
 * through the merge instance, which decompresses each block once: Lucene's fastest way to read them all.
 *
 *   ReadSource ROUNDS DIR    DIR has one Lucene directory per shard
 *
 * Prints a line per round (documents, bytes of their sources, wall and CPU nanoseconds), then the peak of resident
 * memory in kB.
 */
public final class ReadSource {
    private static long docs, bytes;

    public static void main(String[] args) throws Exception {
        StoredFieldVisitor source = new StoredFieldVisitor() {
            @Override
            public Status needsField(FieldInfo field) {
                return field.name.equals("_source") ? Status.YES : Status.NO;
            }

            @Override
            public void binaryField(FieldInfo field, byte[] value) {
                bytes += value.length;
                docs++;
            }
        };
        List<Path> shards;
        try (Stream<Path> list = Files.list(Paths.get(args[1]))) {
            shards = list.sorted().collect(Collectors.toList());
        }
        for (int round = 0; round < Integer.parseInt(args[0]); round++) {
            docs = bytes = 0;
            long start = System.nanoTime(), cpu = cpu();
            for (Path shard : shards) {
                read(shard, source);
            }
            System.out.printf("%d %d %d %d%n", docs, bytes, System.nanoTime() - start, cpu() - cpu);
        }
        for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                System.out.println("peak " + line.replaceAll("[^0-9]", ""));
            }
        }
    }

    private static void read(Path shard, StoredFieldVisitor source) throws Exception {
        try (DirectoryReader reader = new SoftDeletesDirectoryReaderWrapper(
                DirectoryReader.open(FSDirectory.open(shard)), "__soft_deletes")) {
            for (LeafReaderContext leaf : reader.leaves()) {
                LeafReader in = leaf.reader();
                Bits live = in.getLiveDocs();
                StoredFieldsReader ordered = ((CodecReader) FilterLeafReader.unwrap(in)).getFieldsReader().getMergeInstance();
                for (int doc = 0; doc < in.maxDoc(); doc++) {
                    if (live == null || live.get(doc)) {
                        ordered.visitDocument(doc, source);
                    }
                }
            }
        }
    }

    private static long cpu() {
        return java.lang.management.ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
    }
}
