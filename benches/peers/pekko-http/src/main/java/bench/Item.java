package bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;

/** What the bench serves. */
record Item(
    String id,
    String tenant,
    String title,
    String body,
    List<String> tags,
    String author,
    long version,
    @JsonProperty("created_at") String createdAt) {}
