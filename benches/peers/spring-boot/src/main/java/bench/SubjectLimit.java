package bench;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;
import org.springframework.web.server.ResponseStatusException;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

/** Bounds what one subject sends, and reports how much is left. */
@Component
class SubjectLimit implements HandlerInterceptor, WebMvcConfigurer {
    private final Limits subjects;
    private final String policy;

    SubjectLimit(@Value("${bench.quota}") long quota) {
        subjects = new Limits(quota);
        policy = "\"subject\";q=" + quota + ";w=60";
    }

    @Override
    public void addInterceptors(InterceptorRegistry registry) {
        registry.addInterceptor(this).addPathPatterns("/items/*");
    }

    @Override
    public boolean preHandle(
            HttpServletRequest request, HttpServletResponse response, Object handler) {
        var taken = subjects.take(request.getUserPrincipal().getName());
        var reset = Limits.secondsUp(taken.getNanosToWaitForReset());
        response.setHeader("RateLimit-Policy", policy);
        response.setHeader(
            "RateLimit", "\"subject\";r=" + taken.getRemainingTokens() + ";t=" + reset);
        if (!taken.isConsumed()) {
            var wait = Limits.secondsUp(taken.getNanosToWaitForRefill());
            response.setHeader("Retry-After", Long.toString(wait));
            throw new ResponseStatusException(HttpStatus.TOO_MANY_REQUESTS);
        }
        return true;
    }
}
