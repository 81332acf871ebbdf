package bench;

import java.util.List;

/** What the bench serves. */
public record Item(
    String id,
    String tenant,
    String title,
    String body,
    List<String> tags,
    String author,
    long version,
    String createdAt) {}
