import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;

/** How a program tells its stories: one JSON line each, "failed" empty when it held. */
final class Stories {
    interface Told {
        void tell() throws Exception;
    }

    private static final long PATIENCE_MS = 60_000;

    private final Map<String, Told> stories = new LinkedHashMap<>();

    void add(String name, Told story) {
        stories.put(name, story);
    }

    void tell() {
        stories.forEach((name, story) -> {
            String failed = "";
            try {
                story.tell();
            } catch (Exception | AssertionError error) {
                failed = error + " at " + error.getStackTrace()[Math.min(1, error.getStackTrace().length - 1)];
            }
            System.out.println("{\"story\":" + quoted(name) + ",\"failed\":" + quoted(failed) + "}");
        });
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            out.append(one < ' ' || one == '"' || one == '\\' || one > '~' ? String.format("\\u%04x", (int) one) : String.valueOf(one));
        }
        return out.append('"').toString();
    }

    static void same(Object found, Object expected) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError(found + ", not " + expected);
        }
    }

    static void until(BooleanSupplier condition) throws InterruptedException {
        for (long end = System.currentTimeMillis() + PATIENCE_MS; !condition.getAsBoolean(); Thread.sleep(50)) {
            if (System.currentTimeMillis() > end) {
                throw new AssertionError("not so within " + PATIENCE_MS + " ms");
            }
        }
    }

    /** What a call is refused with. */
    static <E extends Exception> E refused(Class<E> kind, Told call) throws Exception {
        try {
            call.tell();
        } catch (Exception error) {
            if (kind.isInstance(error)) {
                return kind.cast(error);
            }
            throw error;
        }
        throw new AssertionError("not refused");
    }
}
