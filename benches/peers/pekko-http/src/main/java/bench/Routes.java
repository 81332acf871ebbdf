package bench;

import static org.apache.pekko.http.javadsl.server.PathMatchers.segment;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.github.f4b6a3.uuid.UuidCreator;
import io.github.bucket4j.ConsumptionProbe;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.apache.pekko.http.javadsl.marshallers.jackson.Jackson;
import org.apache.pekko.http.javadsl.marshalling.Marshaller;
import org.apache.pekko.http.javadsl.model.HttpHeader;
import org.apache.pekko.http.javadsl.model.RequestEntity;
import org.apache.pekko.http.javadsl.model.StatusCodes;
import org.apache.pekko.http.javadsl.model.headers.EntityTag;
import org.apache.pekko.http.javadsl.model.headers.ETag;
import org.apache.pekko.http.javadsl.model.headers.OAuth2BearerToken;
import org.apache.pekko.http.javadsl.model.headers.RawHeader;
import org.apache.pekko.http.javadsl.server.AllDirectives;
import org.apache.pekko.http.javadsl.server.Route;

/** What is answered to whom. */
final class Routes extends AllDirectives {
    private static final List<HttpHeader> FIXED = List.of(
        RawHeader.create("cache-control", "private, no-cache"),
        RawHeader.create("x-content-type-options", "nosniff"),
        RawHeader.create("x-frame-options", "DENY"),
        RawHeader.create("referrer-policy", "no-referrer"),
        RawHeader.create("content-security-policy", "default-src 'none'; frame-ancestors 'none'"));
    private static final Marshaller<Item, RequestEntity> JSON =
        Jackson.marshaller(new ObjectMapper());

    private final Data data;
    private final Tokens tokens;
    private final Metrics metrics = new Metrics();
    private final Limits addresses = new Limits(1_000_000_000);
    private final Limits subjects;
    private final String policy;

    Routes(Data data, long quota) {
        this.data = data;
        this.tokens = new Tokens(data.keys());
        this.subjects = new Limits(quota);
        this.policy = "\"subject\";q=" + quota + ";w=60";
    }

    Route all() {
        return concat(
            path("health", () -> get(() -> front("/health", () -> complete(StatusCodes.OK)))),
            path("metrics", () -> get(() -> complete(metrics.text()))),
            path(segment("items").slash(segment()), id -> get(() ->
                front("/items/{id}", () -> permitted("items.read", () -> item(id))))));
    }

    private Route item(String id) {
        var item = data.items().get(id);
        if (item == null) {
            return complete(StatusCodes.NOT_FOUND);
        }
        var tag = ETag.create(EntityTag.create(Long.toString(item.version()), false));
        return respondWithHeader(tag, () -> complete(StatusCodes.OK, item, JSON));
    }

    /** What happens to every request: id, trace, limit of the address, headers, metrics. */
    private Route front(String route, Supplier<Route> inner) {
        var started = System.nanoTime();
        return optionalHeaderValueByName("traceparent", parent ->
            extractClientIP(address -> mapResponse(response -> {
                metrics.count(route, response.status().intValue(), System.nanoTime() - started);
                return response.addHeaders(FIXED).addHeaders(List.of(
                    RawHeader.create("x-request-id", UuidCreator.getTimeOrderedEpoch().toString()),
                    RawHeader.create("traceparent", Trace.childOf(parent.orElse(null)))));
            }, () -> {
                var key = address.getAddress().map(Object::toString).orElse("unknown");
                var taken = addresses.take(key);
                return taken.isConsumed() ? inner.get() : tooMany(taken);
            })));
    }

    /** Who asks, and whether they may: token, permission, limit of the subject. */
    private Route permitted(String permission, Supplier<Route> inner) {
        return extractCredentials(credentials -> {
            var subject = credentials.flatMap(given -> given instanceof OAuth2BearerToken bearer
                ? tokens.subject(bearer.token()) : Optional.empty());
            if (subject.isEmpty()) {
                return complete(StatusCodes.UNAUTHORIZED);
            }
            if (!data.permits(subject.get(), permission)) {
                return complete(StatusCodes.FORBIDDEN);
            }
            var taken = subjects.take(subject.get());
            var reset = Limits.secondsUp(taken.getNanosToWaitForReset());
            var state = "\"subject\";r=" + taken.getRemainingTokens() + ";t=" + reset;
            return respondWithHeaders(
                List.of(
                    RawHeader.create("ratelimit-policy", policy),
                    RawHeader.create("ratelimit", state)),
                () -> taken.isConsumed() ? inner.get() : tooMany(taken));
        });
    }

    private Route tooMany(ConsumptionProbe taken) {
        var wait = Long.toString(Limits.secondsUp(taken.getNanosToWaitForRefill()));
        return respondWithHeader(
            RawHeader.create("retry-after", wait), () -> complete(StatusCodes.TOO_MANY_REQUESTS));
    }
}
