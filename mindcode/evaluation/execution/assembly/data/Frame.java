import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.lang.reflect.Method;

/** Reads a number before any class of the answer is loaded, calls the tests, and prints the number after them. */
public final class Frame {
    public static void main(String[] arguments) throws Throwable {
        FileOutputStream output = new FileOutputStream(FileDescriptor.out);
        String number = new BufferedReader(new InputStreamReader(System.in)).readLine();
        System.in.close();
        Method tests = Class.forName("Main").getMethod("main", String[].class);
        tests.setAccessible(true);
        try {
            tests.invoke(null, (Object) new String[0]);
        } catch (java.lang.reflect.InvocationTargetException error) {
            error.getCause().printStackTrace();
            Runtime.getRuntime().halt(1);
        }
        output.write((number + "\n").getBytes());
        output.flush();
        Runtime.getRuntime().halt(0);
    }
}
