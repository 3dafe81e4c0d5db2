// Writes what Jackson, the servers' reader and writer of JSON, CBOR, SMILE and YAML, makes of the same values:
// lines of NAME TAB BASE64(content) TAB JSON ("=": that of the line before; "error": refused) in smile.tsv and cbor.tsv, YAML likewise in yaml.tsv, and
// floats.tsv with BITS TAB TEXT. The JSON is copied out of the content's parser the way the servers copy a
// stored _source into a response.
//
// java -cp jackson-core-2.14.2.jar:jackson-dataformat-{smile,cbor,yaml}-2.14.2.jar:snakeyaml-1.33.jar Corpus.java DIR YAML
// where YAML is a text of "=== NAME" lines each followed by a document (after "=== each": scalars, a line each),
// on Java 19 or later, for the digits of floats.tsv; earlier ones print a digit too many in rare cases.

import com.fasterxml.jackson.core.*;
import com.fasterxml.jackson.dataformat.cbor.*;
import com.fasterxml.jackson.dataformat.smile.*;
import com.fasterxml.jackson.dataformat.yaml.*;
import java.io.*;
import java.math.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;

public class Corpus {
    interface Doc { void write(JsonGenerator g) throws IOException; }

    static String repeat(String s, int n) { return s.repeat(n); }

    static Map<String, Doc> docs() {
        Map<String, Doc> m = new LinkedHashMap<>();
        m.put("flat", g -> { g.writeStartObject(); g.writeStringField("name", "flat"); g.writeNumberField("n", 7);
            g.writeBooleanField("ok", true); g.writeNullField("none"); g.writeBooleanField("no", false); g.writeEndObject(); });
        m.put("empty", g -> { g.writeStartObject(); g.writeEndObject(); });
        m.put("array", g -> { g.writeStartArray(); g.writeNumber(1); g.writeStartArray(); g.writeEndArray();
            g.writeStartObject(); g.writeFieldName(""); g.writeString(""); g.writeEndObject(); g.writeEndArray(); });
        m.put("integers", g -> { g.writeStartArray();
            for (int shift = 0; shift < 63; shift++)
                for (long d = -2; d <= 2; d++) { g.writeNumber((1L << shift) + d); g.writeNumber(-(1L << shift) + d); }
            g.writeNumber(Long.MAX_VALUE); g.writeNumber(Long.MIN_VALUE);
            for (int i = -40; i < 40; i++) g.writeNumber(i);
            g.writeNumber(Integer.MAX_VALUE); g.writeNumber(Integer.MIN_VALUE); g.writeEndArray(); });
        m.put("big", g -> { g.writeStartArray();
            for (String s : new String[]{"0", "-1", "127", "128", "-128", "-129", "18446744073709551615", "18446744073709551616",
                    "-18446744073709551616", "-18446744073709551617", "123456789012345678901234567890", "-123456789012345678901234567890",
                    "99999999999999999999999999999999999999999999999999999999999999999999999999999999999999"}) g.writeNumber(new BigInteger(s));
            g.writeEndArray(); });
        m.put("decimal", g -> { g.writeStartArray();
            for (String s : new String[]{"0", "0.0", "0E+5", "0E-7", "1.5", "-1.5", "123456789.123456789123456789", "1E+30", "1.23E-10", "0.000001", "0.0000001",
                    "-0.00000123", "12E3", "100", "1E1"}) g.writeNumber(new BigDecimal(s));
            g.writeEndArray(); });
        m.put("floats", g -> { g.writeStartArray();
            for (double d : new double[]{0, -0.0, 1, -1, 0.1, 100000, 1e6, 1e7, 12345678.9, 0.001, 0.00099, 1e-5, 1e10, 1e300, 5e-324, Double.MAX_VALUE,
                    Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Math.PI}) { g.writeNumber(d); g.writeNumber((float) d); }
            g.writeEndArray(); });
        m.put("strings", g -> { g.writeStartArray();
            for (int n = 0; n < 70; n += n == 6 ? 9 : n == 17 ? 13 : n == 36 ? 24 : 1) { g.writeString(repeat("a", n)); g.writeString(repeat("é", n)); g.writeString(repeat("한", n)); g.writeString("x" + repeat("😀", n)); }
            g.writeString(repeat("long ", 50)); g.writeString(repeat("길다 ", 50));
            StringBuilder b = new StringBuilder(); for (char c = 0; c < 0x100; c++) b.append(c);
            g.writeString(b + "\u2028\u2029\ufeff\uffff/</script>"); g.writeEndArray(); });
        m.put("binary", g -> { g.writeStartArray(); Random r = new Random(1);
            for (int n = 0; n < 24; n++) { byte[] b = new byte[n]; r.nextBytes(b); g.writeBinary(b); }
            byte[] b = new byte[1000]; r.nextBytes(b); g.writeBinary(b); g.writeEndArray(); });
        // Names of every length, twice, so that later references say whether the tables agree.
        m.put("names", g -> { g.writeStartArray();
            for (int again = 0; again < 2; again++) { g.writeStartObject();
                for (int n = 0; n < 70; n += n == 3 ? 12 : n == 32 ? 23 : 1) { g.writeNumberField(repeat("n", n), n); g.writeNumberField(repeat("ñ", n) + "_", n); g.writeNumberField(repeat("름", n) + "-", n); }
                g.writeNumberField(repeat("0123456789", 30), 1); g.writeNumberField("after", 2); g.writeEndObject(); }
            g.writeEndArray(); });
        m.put("fields", g -> { g.writeStartArray();
            for (int again = 0; again < 2; again++) { g.writeStartObject();
                for (int n = 0; n < 1100; n++) g.writeNumberField("f" + n, n % 10);
                for (int n = 60; n < 90; n++) g.writeNumberField("f" + n, n % 10);
                g.writeEndObject(); }
            g.writeEndArray(); });
        m.put("values", g -> { g.writeStartArray();
            for (int again = 0; again < 2; again++) for (int n = 0; n < 40; n++) g.writeString("v" + n);
            for (int n = 0; n < 1100; n++) g.writeString("w" + n);
            for (int n = 1000; n < 1100; n++) g.writeString("w" + n);
            for (int again = 0; again < 2; again++) for (int n = 55; n < 70; n++) { g.writeString(repeat("s", n)); g.writeString(repeat("s", n) + "é"); }
            g.writeString("w1099"); g.writeEndArray(); });
        m.put("random", g -> { Random r = new Random(7); g.writeStartArray(); for (int i = 0; i < 30; i++) any(g, r, 4); g.writeEndArray(); });
        return m;
    }

    static void any(JsonGenerator g, Random r, int depth) throws IOException {
        switch (r.nextInt(depth > 0 ? 10 : 8)) {
        case 0: g.writeNull(); break;
        case 1: g.writeBoolean(r.nextBoolean()); break;
        case 2: g.writeNumber(r.nextInt() >> r.nextInt(32)); break;
        case 3: g.writeNumber(r.nextLong() >> r.nextInt(64)); break;
        case 4: g.writeNumber(r.nextInt(1000000) / 8.0); break;
        case 5: g.writeNumber(r.nextInt(10000) / 4f); break;
        case 6: case 7: g.writeString(word(r)); break;
        case 8: g.writeStartArray(); for (int n = r.nextInt(5); n > 0; n--) any(g, r, depth - 1); g.writeEndArray(); break;
        default: g.writeStartObject(); int n = r.nextInt(6);
            for (int i = 0; i < n; i++) { g.writeFieldName(i + word(r)); any(g, r, depth - 1); } g.writeEndObject(); }
    }

    static final String[] WORDS = {"host", "길이", "message ", "\n", "\"q\"", "\\", "é", "😀", "a.b", "0"};
    static String word(Random r) { StringBuilder b = new StringBuilder(); for (int n = r.nextInt(6); n > 0; n--) b.append(WORDS[r.nextInt(WORDS.length)]); return b.toString(); }

    static final JsonFactory JSON = new JsonFactory();

    static String json(JsonParser p) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator g = JSON.createGenerator(out)) { p.nextToken(); g.copyCurrentStructure(p); }
        return out.toString(StandardCharsets.UTF_8);
    }

    static String last = "";

    static void line(PrintWriter w, String name, JsonFactory f, byte[] content) throws IOException {
        String result;
        try { result = json(f.createParser(content)); } catch (JsonProcessingException e) { result = "error"; }
        w.print(name + "\t" + Base64.getEncoder().encodeToString(content) + "\t" + (result.equals(last) ? "=" : result) + "\n");
        last = result;
    }

    static byte[] content(JsonFactory f, Doc d) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator g = f.createGenerator(out)) { d.write(g); }
        return out.toByteArray();
    }

    static byte[] hex(String s) { byte[] b = new BigInteger("01" + s, 16).toByteArray(); return Arrays.copyOfRange(b, 1, b.length); }

    public static void main(String[] args) throws IOException {
        Path dir = Paths.get(args[0]);
        SmileFactory server = SmileFactory.builder().disable(SmileGenerator.Feature.ENCODE_BINARY_AS_7BIT).build();
        SmileFactory all = SmileFactory.builder().enable(SmileGenerator.Feature.CHECK_SHARED_STRING_VALUES).enable(SmileGenerator.Feature.WRITE_END_MARKER).build();
        SmileFactory none = SmileFactory.builder().disable(SmileGenerator.Feature.CHECK_SHARED_NAMES).build();
        try (PrintWriter w = writer(dir.resolve("smile.tsv"))) {
            for (Map.Entry<String, Doc> e : docs().entrySet()) {
                line(w, e.getKey() + "/server", server, content(server, e.getValue()));
                line(w, e.getKey() + "/shared", all, content(all, e.getValue()));
                if (!e.getKey().equals("fields")) line(w, e.getKey() + "/spelt", none, content(none, e.getValue()));
            }
        }
        CBORFactory cbor = new CBORFactory();
        try (PrintWriter w = writer(dir.resolve("cbor.tsv"))) {
            for (Map.Entry<String, Doc> e : docs().entrySet())
                if (!e.getKey().equals("fields") && !e.getKey().equals("values")) line(w, e.getKey(), cbor, content(cbor, e.getValue()));
            String[] hexes = {"d9d9f7a1616101", "bf6161019f0203ffff", "bf61610161629f0203ffff", "bf616100616202ff", "a2016161206162", "a1416103", "f97e00", "f93c00", "f90001", "f9c000", "f97c00", "f9fc00",
                "fa47c35000", "fb3ff199999999999a", "7f657374726561646d696e67ff", "5f42010243030405ff", "f7", "f6", "f0", "f8ff", "e0", "1bffffffffffffffff", "3bffffffffffffffff",
                "c249010000000000000000", "c349010000000000000000", "c0613a", "a11bffffffffffffffff01", "a13863f5", "d81c00", "c24100", "c240", "a1f500", "a1f600", "bf7f6161ff01ff", "c48221196ab3",
                "3b8000000000000000", "3b7fffffffffffffff", "1b8000000000000000", "1a80000000", "3a80000000", "3a7fffffff", "a17f61616162ff01"};
            for (String h : hexes) line(w, h, cbor, hex(h));
        }
        YAMLFactory yaml = new YAMLFactory();
        try (PrintWriter w = writer(dir.resolve("yaml.tsv"))) {
            for (Map.Entry<String, Doc> e : docs().entrySet())
                if (!Set.of("fields", "values", "names", "integers", "strings").contains(e.getKey())) line(w, e.getKey(), yaml, content(yaml, e.getValue()));
            Path hand = Paths.get(args[1]);
            String[] parts = new String(Files.readAllBytes(hand), StandardCharsets.UTF_8).split("(?m)^=== ");
            for (String part : parts) {
                if (part.isBlank()) continue;
                int eol = part.indexOf('\n');
                String name = part.substring(0, eol), text = part.substring(eol + 1);
                if (!name.equals("each")) line(w, name, yaml, text.getBytes(StandardCharsets.UTF_8));
                else for (String one : text.split("\n")) line(w, one.replace("\t", "TAB"), yaml, ("---\na: " + one + "\n").getBytes(StandardCharsets.UTF_8));
            }
        }
        try (PrintWriter w = writer(dir.resolve("floats.tsv"))) {
            Random r = new Random(11);
            for (int i = 0; i < 600; i++) {
                double d = Double.longBitsToDouble(r.nextLong());
                if (i % 3 == 1) d = r.nextInt(100000) / Math.pow(10, r.nextInt(12));
                if (i % 3 == 2) d = Math.pow(2, r.nextInt(2098) - 1074);
                w.print("64\t" + Long.toHexString(Double.doubleToRawLongBits(d)) + "\t" + d + "\n");
                float f = i % 2 == 0 ? Float.intBitsToFloat(r.nextInt()) : r.nextInt(100000) / (float) Math.pow(10, r.nextInt(12));
                w.print("32\t" + Integer.toHexString(Float.floatToRawIntBits(f)) + "\t" + f + "\n");
            }
        }
    }

    static PrintWriter writer(Path p) throws IOException { return new PrintWriter(new OutputStreamWriter(new FileOutputStream(p.toFile()), StandardCharsets.UTF_8)); }
}
