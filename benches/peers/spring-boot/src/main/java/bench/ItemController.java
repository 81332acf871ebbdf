package bench;

import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;
import tools.jackson.databind.json.JsonMapper;

@RestController
class ItemController {
    private final Data data;
    private final JsonMapper json;

    ItemController(Data data, JsonMapper json) {
        this.data = data;
        this.json = json;
    }

    @GetMapping("/items/{id}")
    ResponseEntity<byte[]> find(@PathVariable String id) {
        var item = data.item(id);
        if (item == null) {
            throw new ResponseStatusException(HttpStatus.NOT_FOUND);
        }
        // Bytes have a content length; an object would be sent in chunks.
        return ResponseEntity.ok()
            .eTag(Long.toString(item.version()))
            .contentType(MediaType.APPLICATION_JSON)
            .body(json.writeValueAsBytes(item));
    }

    @GetMapping("/health")
    void health() {}
}
