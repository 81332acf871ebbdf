package bench;

import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import io.prometheus.metrics.model.snapshots.Unit;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** Counts requests by route and status, and their times by route. */
final class Metrics {
    private final Counter requests = Counter.builder()
        .name("http_requests_total")
        .help("Answered requests.")
        .labelNames("route", "status")
        .register();
    private final Histogram durations = Histogram.builder()
        .name("http_request_duration_seconds")
        .help("Time to answer a request.")
        .unit(Unit.SECONDS)
        .labelNames("route")
        .classicOnly()
        .register();

    void count(String route, int status, long nanos) {
        requests.labelValues(route, Integer.toString(status)).inc();
        durations.labelValues(route).observe(nanos / 1e9);
    }

    String text() {
        var text = new ByteArrayOutputStream();
        try {
            PrometheusTextFormatWriter.create()
                .write(text, PrometheusRegistry.defaultRegistry.scrape());
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return text.toString(StandardCharsets.UTF_8);
    }
}
