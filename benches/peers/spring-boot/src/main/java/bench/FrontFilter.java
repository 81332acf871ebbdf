package bench;

import com.github.f4b6a3.uuid.UuidCreator;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;
import org.springframework.web.filter.OncePerRequestFilter;

/** Gives each request an id and a trace context, and bounds what one address sends. */
@Component
@Order(Ordered.HIGHEST_PRECEDENCE + 10)
class FrontFilter extends OncePerRequestFilter {
    private final Limits addresses = new Limits(1_000_000_000);

    @Override
    protected void doFilterInternal(
            HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        response.setHeader("x-request-id", UuidCreator.getTimeOrderedEpoch().toString());
        response.setHeader("traceparent", Trace.childOf(request.getHeader("traceparent")));
        var taken = addresses.take(request.getRemoteAddr());
        if (!taken.isConsumed()) {
            var wait = Limits.secondsUp(taken.getNanosToWaitForRefill());
            response.setHeader("Retry-After", Long.toString(wait));
            response.setStatus(HttpStatus.TOO_MANY_REQUESTS.value());
            return;
        }
        chain.doFilter(request, response);
    }
}
