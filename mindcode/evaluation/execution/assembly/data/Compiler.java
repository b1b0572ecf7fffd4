import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/**
 * Compiles programs one after the other in one virtual machine, in memory; it runs none of them.
 *
 * Input: the number of files, then name and text of each. Output: the number of classes, then name and bytes of each,
 * then the compiler's messages. Numbers are four bytes, texts and bytes have their length in front.
 */
public final class Compiler {
    public static void main(String[] arguments) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        JavaFileManager standard = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8);
        DataInputStream input = new DataInputStream(System.in);
        DataOutputStream output = new DataOutputStream(System.out);
        while (true) {
            List<Source> sources = new ArrayList<>();
            try {
                for (int left = input.readInt(); left > 0; left--) {
                    sources.add(new Source(text(input), text(input)));
                }
            } catch (EOFException end) {
                return;
            }
            Classes classes = new Classes(standard);
            StringWriter messages = new StringWriter();
            List<String> options = List.of("-proc:none", "-nowarn", "-XDuseUnsharedTable", "-implicit:none");
            boolean compiled;
            try {
                compiled = compiler.getTask(messages, classes, null, options, null, sources).call();
            } catch (RuntimeException | StackOverflowError error) {
                messages.write("error: the compiler gave up: " + error);
                compiled = false;
            }
            output.writeInt(compiled ? classes.written.size() : 0);
            if (compiled) {
                for (Map.Entry<String, ByteArrayOutputStream> entry : classes.written.entrySet()) {
                    bytes(output, entry.getKey().getBytes(StandardCharsets.UTF_8));
                    bytes(output, entry.getValue().toByteArray());
                }
            }
            bytes(output, messages.toString().getBytes(StandardCharsets.UTF_8));
            output.flush();
        }
    }

    private static String text(DataInputStream input) throws IOException {
        return new String(input.readNBytes(input.readInt()), StandardCharsets.UTF_8);
    }

    private static void bytes(DataOutputStream output, byte[] content) throws IOException {
        output.writeInt(content.length);
        output.write(content);
    }

    private static final class Source extends SimpleJavaFileObject {
        private final String text;

        Source(String name, String text) {
            super(URI.create("string:///" + name), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    private static final class Classes extends ForwardingJavaFileManager<JavaFileManager> {
        final Map<String, ByteArrayOutputStream> written = new TreeMap<>();

        Classes(JavaFileManager manager) {
            super(manager);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            written.put(name, content);
            return new SimpleJavaFileObject(URI.create("memory:///" + name.replace('.', '/') + kind.extension), kind) {
                @Override
                public OutputStream openOutputStream() {
                    return content;
                }
            };
        }
    }
}
