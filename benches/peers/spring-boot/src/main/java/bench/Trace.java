package bench;

import java.util.HexFormat;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;

/** W3C Trace Context. */
final class Trace {
    private static final Pattern PARENT =
        Pattern.compile("00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})");

    private Trace() {}

    /** A new span of the caller's trace, or of a new one. */
    static String childOf(String parent) {
        var random = ThreadLocalRandom.current();
        var hex = HexFormat.of();
        var span = hex.toHexDigits(random.nextLong());
        if (parent != null) {
            var known = PARENT.matcher(parent);
            if (known.matches()) {
                return "00-" + known.group(1) + "-" + span + "-" + known.group(2);
            }
        }
        var trace = hex.toHexDigits(random.nextLong()) + hex.toHexDigits(random.nextLong());
        return "00-" + trace + "-" + span + "-01";
    }
}
