package bench;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jwt.SignedJWT;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.text.ParseException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.MappedJwtClaimSetConverter;
import org.springframework.stereotype.Component;

/** Verifies tokens with the JDK's Ed25519, or finds them among the verified ones. */
@Component
class Tokens implements JwtDecoder {
    /** What stands before the 32 bytes of an Ed25519 key in X.509 (RFC 8410). */
    private static final String PREFIX = "302a300506032b6570032100";

    private final Map<String, PublicKey> keys = new HashMap<>();
    private final MappedJwtClaimSetConverter claims =
        MappedJwtClaimSetConverter.withDefaults(Map.of());
    private final OAuth2TokenValidator<Jwt> validator = new DelegatingOAuth2TokenValidator<>(
        new JwtIssuerValidator("https://bench.invalid"),
        new JwtTimestampValidator(Duration.ZERO));
    private final Cache<String, Jwt> verified = Caffeine.newBuilder()
        .maximumSize(65_536)
        .expireAfterWrite(Duration.ofMinutes(1))
        .build();

    Tokens(Data data) throws GeneralSecurityException, ParseException {
        var factory = KeyFactory.getInstance("Ed25519");
        for (var key : JWKSet.parse(data.keys()).getKeys()) {
            var hex = PREFIX + HexFormat.of().formatHex(key.toOctetKeyPair().getDecodedX());
            var encoded = new X509EncodedKeySpec(HexFormat.of().parseHex(hex));
            keys.put(key.getKeyID(), factory.generatePublic(encoded));
        }
    }

    @Override
    public Jwt decode(String token) {
        var known = verified.getIfPresent(token);
        if (known != null && Instant.now().isBefore(known.getExpiresAt())) {
            return known;
        }
        try {
            var jwt = verify(token);
            verified.put(token, jwt);
            return jwt;
        } catch (ParseException | JOSEException | GeneralSecurityException
                | IllegalArgumentException bad) {
            throw new BadJwtException("not a good token", bad);
        }
    }

    private Jwt verify(String token)
            throws ParseException, JOSEException, GeneralSecurityException {
        var signed = SignedJWT.parse(token);
        var key = keys.get(signed.getHeader().getKeyID());
        if (key == null || !JWSAlgorithm.EdDSA.equals(signed.getHeader().getAlgorithm())) {
            throw new BadJwtException("unknown key");
        }
        var signature = Signature.getInstance("Ed25519");
        signature.initVerify(key);
        signature.update(signed.getSigningInput());
        if (!signature.verify(signed.getSignature().decode())) {
            throw new BadJwtException("bad signature");
        }
        var jwt = Jwt.withTokenValue(token)
            .headers(headers -> headers.putAll(signed.getHeader().toJSONObject()))
            .claims(all -> all.putAll(convert(signed)))
            .build();
        if (jwt.getExpiresAt() == null || validator.validate(jwt).hasErrors()) {
            throw new BadJwtException("bad claims");
        }
        return jwt;
    }

    private Map<String, Object> convert(SignedJWT signed) {
        try {
            return claims.convert(signed.getJWTClaimsSet().getClaims());
        } catch (ParseException bad) {
            throw new BadJwtException("bad claims", bad);
        }
    }
}
