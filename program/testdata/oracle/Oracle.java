// Oracle calls the methods of Java that the lines of its input name, and says what they give. A line is
// class, name, prototype, "static" or "virtual" or "new", and the arguments; fields are parted by tabs.
//
// Arguments and results: n null, i:1 of any primitive type or box, s:00410042 a String by its units, B:0a0b bytes,
// C:00410042 chars, I:1,2 ints, S:3 and O:3 an array of the three values that stand behind it, x:Integer:1 a box,
// $4 the result of line 4. A result of another kind is ?, an exception is !.
import java.io.*;
import java.lang.reflect.*;
import java.nio.charset.StandardCharsets;
import java.util.*;

public class Oracle {
    static final List<Object> results = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        Locale.setDefault(Locale.US);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out), false, "UTF-8");
        for (String line; (line = in.readLine()) != null; ) {
            Object result = null;
            String said;
            try {
                result = call(line.split("\t", -1));
                said = say(result);
            } catch (InvocationTargetException e) {
                said = "!";
            } catch (ReflectiveOperationException e) {
                said = "no such method: " + e;
            }
            results.add(result);
            out.println(said);
        }
        out.flush();
    }

    static Object call(String[] f) throws ReflectiveOperationException {
        Class<?> c = type(f[0]);
        List<Class<?>> types = new ArrayList<>();
        for (int i = 1; f[2].charAt(i) != ')'; ) {
            int e = i;
            while (f[2].charAt(e) == '[') e++;
            if (f[2].charAt(e) == 'L') e = f[2].indexOf(';', e);
            types.add(type(f[2].substring(i, e + 1)));
            i = e + 1;
        }
        List<Object> args = new ArrayList<>();
        Iterator<String> words = Arrays.asList(f).subList(4, f.length).iterator();
        Object self = f[3].equals("virtual") ? value(words, c) : null;
        for (Class<?> t : types) args.add(value(words, t));
        if (f[3].equals("new")) return c.getConstructor(types.toArray(new Class<?>[0])).newInstance(args.toArray());
        return c.getMethod(f[1], types.toArray(new Class<?>[0])).invoke(self, args.toArray());
    }

    static Class<?> type(String d) throws ClassNotFoundException {
        switch (d) {
            case "I": return int.class;
            case "J": return long.class;
            case "S": return short.class;
            case "B": return byte.class;
            case "C": return char.class;
            case "Z": return boolean.class;
        }
        String name = d.replace('/', '.');
        return Class.forName(d.charAt(0) == '[' ? name : name.substring(1, name.length() - 1));
    }

    static Object value(Iterator<String> words, Class<?> t) {
        String w = words.next();
        if (w.charAt(0) == '$') return results.get(Integer.parseInt(w.substring(1)));
        String rest = w.length() > 2 ? w.substring(2) : "";
        switch (w.charAt(0)) {
            case 'i': return box(t.getName(), Long.parseLong(rest));
            case 'x': return box(rest.substring(0, rest.indexOf(':')), Long.parseLong(rest.substring(rest.indexOf(':') + 1)));
            case 's': return new String(units(rest));
            case 'C': return units(rest);
            case 'B': {
                byte[] b = new byte[rest.length() / 2];
                for (int i = 0; i < b.length; i++) b[i] = (byte) Integer.parseInt(rest.substring(2 * i, 2 * i + 2), 16);
                return b;
            }
            case 'I': return rest.isEmpty() ? new int[0] : Arrays.stream(rest.split(",")).mapToInt(Integer::parseInt).toArray();
            case 'S': case 'O': {
                Object[] a = w.charAt(0) == 'S' ? new String[Integer.parseInt(rest)] : new Object[Integer.parseInt(rest)];
                for (int i = 0; i < a.length; i++) a[i] = value(words, Object.class);
                return a;
            }
        }
        return null;
    }

    static Object box(String type, long n) {
        switch (type) {
            case "int": case "Integer": return (int) n;
            case "long": case "Long": return n;
            case "short": case "Short": return (short) n;
            case "byte": case "Byte": return (byte) n;
            case "char": case "Character": return (char) n;
        }
        return n != 0;
    }

    static char[] units(String hex) {
        char[] c = new char[hex.length() / 4];
        for (int i = 0; i < c.length; i++) c[i] = (char) Integer.parseInt(hex.substring(4 * i, 4 * i + 4), 16);
        return c;
    }

    static String say(Object o) {
        StringBuilder b = new StringBuilder();
        if (o == null) return "n";
        if (o instanceof Boolean) return "i:" + ((Boolean) o ? 1 : 0);
        if (o instanceof Character) return "i:" + (int) (Character) o;
        if (o instanceof Integer || o instanceof Long || o instanceof Short || o instanceof Byte) return "i:" + o;
        if (o instanceof String) {
            b.append("s:");
            for (char c : ((String) o).toCharArray()) b.append(String.format("%04x", (int) c));
        } else if (o instanceof char[]) {
            b.append("C:");
            for (char c : (char[]) o) b.append(String.format("%04x", (int) c));
        } else if (o instanceof byte[]) {
            b.append("B:");
            for (byte c : (byte[]) o) b.append(String.format("%02x", c & 0xff));
        } else if (o instanceof String[]) {
            b.append("S:" + ((String[]) o).length);
            for (String s : (String[]) o) b.append("\t" + say(s));
        } else {
            return "?";
        }
        return b.toString();
    }
}
