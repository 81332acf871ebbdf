package bench;

import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

@RestController
class ItemController {
    private final Data data;

    ItemController(Data data) {
        this.data = data;
    }

    @GetMapping("/items/{id}")
    ResponseEntity<Item> find(@PathVariable String id) {
        var item = data.item(id);
        if (item == null) {
            throw new ResponseStatusException(HttpStatus.NOT_FOUND);
        }
        return ResponseEntity.ok().eTag(Long.toString(item.version())).body(item);
    }

    @GetMapping("/health")
    void health() {}
}
