package bench;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.security.GeneralSecurityException;
import java.security.PublicKey;
import java.security.Signature;
import java.text.ParseException;
import java.time.Duration;
import java.util.Date;
import java.util.Map;
import java.util.Optional;

/** Verifies tokens with the JDK's Ed25519, or finds them among the verified ones. */
final class Tokens {
    private static final String ISSUER = "https://bench.invalid";

    private final Map<String, PublicKey> keys;
    private final Cache<String, JWTClaimsSet> verified = Caffeine.newBuilder()
        .maximumSize(65_536)
        .expireAfterWrite(Duration.ofMinutes(1))
        .build();

    Tokens(Map<String, PublicKey> keys) {
        this.keys = keys;
    }

    /** The subject of a good token. */
    Optional<String> subject(String token) {
        var known = verified.getIfPresent(token);
        if (known != null) {
            return Optional.of(known).filter(Tokens::current).map(JWTClaimsSet::getSubject);
        }
        try {
            var claims = verify(token).filter(Tokens::current);
            claims.ifPresent(good -> verified.put(token, good));
            return claims.map(JWTClaimsSet::getSubject);
        } catch (ParseException | JOSEException | GeneralSecurityException bad) {
            return Optional.empty();
        }
    }

    private Optional<JWTClaimsSet> verify(String token)
            throws ParseException, JOSEException, GeneralSecurityException {
        var signed = SignedJWT.parse(token);
        var key = keys.get(signed.getHeader().getKeyID());
        if (key == null || !JWSAlgorithm.EdDSA.equals(signed.getHeader().getAlgorithm())) {
            return Optional.empty();
        }
        var signature = Signature.getInstance("Ed25519");
        signature.initVerify(key);
        signature.update(signed.getSigningInput());
        if (!signature.verify(signed.getSignature().decode())) {
            return Optional.empty();
        }
        return Optional.of(signed.getJWTClaimsSet())
            .filter(claims -> ISSUER.equals(claims.getIssuer()));
    }

    private static boolean current(JWTClaimsSet claims) {
        return claims.getExpirationTime() != null && claims.getExpirationTime().after(new Date());
    }
}
