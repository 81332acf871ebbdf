package bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.core.authority.AuthorityUtils;
import org.springframework.stereotype.Component;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** What the bench's directory holds. */
@Component
class Data {
    private final Map<String, Item> items;
    private final Map<String, List<GrantedAuthority>> permissions;
    private final String keys;

    Data(@Value("${bench.directory}") Path directory, JsonMapper json) throws IOException {
        items = json.readValue(
                Files.readString(directory.resolve("items.json")),
                new TypeReference<List<Item>>() {})
            .stream()
            .collect(Collectors.toMap(Item::id, Function.identity()));
        permissions = json.readValue(
                Files.readString(directory.resolve("permissions.json")),
                new TypeReference<Map<String, List<String>>>() {})
            .entrySet()
            .stream()
            .collect(Collectors.toMap(
                Map.Entry::getKey, entry -> AuthorityUtils.createAuthorityList(entry.getValue())));
        keys = Files.readString(directory.resolve("jwks.json"));
    }

    /** The item of an id, or null. */
    Item item(String id) {
        return items.get(id);
    }

    List<GrantedAuthority> permissions(String subject) {
        return permissions.getOrDefault(subject, List.of());
    }

    /** The public keys as a JSON Web Key Set. */
    String keys() {
        return keys;
    }
}
