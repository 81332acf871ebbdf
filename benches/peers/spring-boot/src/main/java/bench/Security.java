package bench;

import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.annotation.web.configurers.HeadersConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationConverter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.header.writers.ReferrerPolicyHeaderWriter.ReferrerPolicy;
import org.springframework.security.web.header.writers.StaticHeadersWriter;

/** Who may ask for what, and the security headers. */
@Configuration
class Security {
    @Bean
    SecurityFilterChain chain(HttpSecurity http, Data data) throws Exception {
        var subjects = new JwtAuthenticationConverter();
        subjects.setJwtGrantedAuthoritiesConverter(jwt -> data.permissions(jwt.getSubject()));
        return http
            .csrf(AbstractHttpConfigurer::disable)
            .requestCache(AbstractHttpConfigurer::disable)
            .logout(AbstractHttpConfigurer::disable)
            .sessionManagement(sessions ->
                sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
            .oauth2ResourceServer(server ->
                server.jwt(jwt -> jwt.jwtAuthenticationConverter(subjects)))
            .authorizeHttpRequests(requests -> requests
                .requestMatchers("/health", "/metrics", "/error").permitAll()
                .requestMatchers("/items/*").hasAuthority("items.read")
                .anyRequest().denyAll())
            .headers(headers -> headers
                .cacheControl(HeadersConfigurer.CacheControlConfig::disable)
                .xssProtection(HeadersConfigurer.XXssConfig::disable)
                .addHeaderWriter(new StaticHeadersWriter("Cache-Control", "private, no-cache"))
                .referrerPolicy(referrer -> referrer.policy(ReferrerPolicy.NO_REFERRER))
                .contentSecurityPolicy(policy -> policy
                    .policyDirectives("default-src 'none'; frame-ancestors 'none'")))
            .build();
    }
}
