package bench;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;

/** The bench's job on Spring Boot. */
@SpringBootApplication
public class Application {
    @Value("${server.address}:${server.port}")
    private String address;

    public static void main(String[] arguments) {
        SpringApplication.run(Application.class, arguments);
    }

    @EventListener(ApplicationReadyEvent.class)
    void ready() {
        System.out.println("ready " + address);
    }
}
