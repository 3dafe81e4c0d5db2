// Writes event.cbor with Jackson's own generator, set up as org.logstash.ObjectMappers does, with the classes that its default
// typing writes as arrays of two:
//
//	java -cp jackson-core-2.18.2.jar:jackson-dataformat-cbor-2.18.2.jar Event.java event.cbor

import com.fasterxml.jackson.dataformat.cbor.CBORFactory;
import com.fasterxml.jackson.dataformat.cbor.CBORGenerator;
import java.io.FileOutputStream;
import java.math.BigDecimal;
import java.math.BigInteger;

public class Event {
    static CBORGenerator g;

    interface Body { void write() throws Exception; }

    static void typed(String type, Body body) throws Exception {
        g.writeStartArray();
        g.writeString(type);
        body.write();
        g.writeEndArray();
    }

    static void text(String s) throws Exception { typed("org.jruby.RubyString", () -> g.writeString(s)); }

    static void map(Body body) throws Exception {
        typed("org.logstash.ConvertedMap", () -> {
            g.writeStartObject();
            body.write();
            g.writeEndObject();
        });
    }

    public static void main(String[] args) throws Exception {
        CBORFactory f = new CBORFactory();
        f.configure(CBORGenerator.Feature.WRITE_MINIMAL_INTS, false);
        f.configure(CBORGenerator.Feature.STRINGREF, true);
        g = f.createGenerator(new FileOutputStream(args[0]));
        typed("java.util.HashMap", () -> {
            g.writeStartObject();
            g.writeFieldName("DATA");
            map(() -> {
                g.writeFieldName("@timestamp");
                typed("org.logstash.Timestamp", () -> g.writeString("2026-11-24T10:14:59.000Z"));
                g.writeFieldName("message");
                text("grüße 😀");
                g.writeFieldName("n");
                g.writeNumber(-5L);
                g.writeFieldName("i");
                typed("java.lang.Long", () -> g.writeNumber(7L));
                g.writeFieldName("huge");
                g.writeNumber(new BigInteger("123456789012345678901234567890"));
                g.writeFieldName("debt");
                g.writeNumber(new BigInteger("-123456789012345678901234567890"));
                g.writeFieldName("price");
                g.writeNumber(new BigDecimal("12.34"));
                g.writeFieldName("exact");
                g.writeNumber(new BigDecimal("-123456789012345678901234567890.12"));
                g.writeFieldName("f");
                g.writeNumber(1.5);
                g.writeFieldName("t");
                g.writeBoolean(true);
                g.writeFieldName("none");
                typed("org.jruby.RubyNil", () -> g.writeNull());
                g.writeFieldName("host");
                map(() -> {
                    g.writeFieldName("name");
                    text("host");
                });
                g.writeFieldName("long");
                text("x".repeat(20_000));
                g.writeFieldName("medium");
                text("y".repeat(300));
                g.writeFieldName("many");
                typed("org.logstash.ConvertedList", () -> {
                    g.writeStartArray();
                    for (int i = 0; i < 400; i++) {
                        text("number " + i);
                        text("" + i);
                        text("host");
                        text("number " + i / 2);
                    }
                    g.writeEndArray();
                });
            });
            g.writeFieldName("META");
            map(() -> {
                g.writeFieldName("target");
                text("number 399");
            });
            g.writeEndObject();
        });
        g.close();
    }
}
