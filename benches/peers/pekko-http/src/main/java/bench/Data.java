package bench;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.nimbusds.jose.jwk.JWKSet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.text.ParseException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

/** What the bench's directory holds: items by id, permissions by subject, keys by kid. */
record Data(
    Map<String, Item> items, Map<String, Set<String>> permissions, Map<String, PublicKey> keys) {
    /** What stands before the 32 bytes of an Ed25519 key in X.509 (RFC 8410). */
    private static final String PREFIX = "302a300506032b6570032100";

    static Data read(Path directory)
            throws IOException, GeneralSecurityException, ParseException {
        var json = new ObjectMapper();
        var items = json.readValue(
            directory.resolve("items.json").toFile(), new TypeReference<List<Item>>() {});
        var permissions = json.readValue(
            directory.resolve("permissions.json").toFile(),
            new TypeReference<Map<String, Set<String>>>() {});
        return new Data(
            items.stream().collect(Collectors.toMap(Item::id, Function.identity())),
            permissions,
            keys(Files.readString(directory.resolve("jwks.json"))));
    }

    private static Map<String, PublicKey> keys(String set)
            throws GeneralSecurityException, ParseException {
        var factory = KeyFactory.getInstance("Ed25519");
        var keys = new HashMap<String, PublicKey>();
        for (var key : JWKSet.parse(set).getKeys()) {
            var hex = PREFIX + HexFormat.of().formatHex(key.toOctetKeyPair().getDecodedX());
            var encoded = new X509EncodedKeySpec(HexFormat.of().parseHex(hex));
            keys.put(key.getKeyID(), factory.generatePublic(encoded));
        }
        return keys;
    }

    boolean permits(String subject, String permission) {
        return permissions.getOrDefault(subject, Set.of()).contains(permission);
    }
}
