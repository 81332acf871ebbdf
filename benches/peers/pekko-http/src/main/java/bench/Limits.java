package bench;

import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.LoadingCache;
import io.github.bucket4j.Bucket;
import io.github.bucket4j.ConsumptionProbe;
import java.time.Duration;

/** A token bucket for each of the keys seen last. */
final class Limits {
    private final LoadingCache<String, Bucket> buckets;

    Limits(long perMinute) {
        buckets = Caffeine.newBuilder()
            .maximumSize(65_536)
            .build(key -> Bucket.builder()
                .addLimit(limit -> limit
                    .capacity(perMinute)
                    .refillGreedy(perMinute, Duration.ofMinutes(1)))
                .build());
    }

    ConsumptionProbe take(String key) {
        return buckets.get(key).tryConsumeAndReturnRemaining(1);
    }

    static long secondsUp(long nanos) {
        return (nanos + 999_999_999) / 1_000_000_000;
    }
}
