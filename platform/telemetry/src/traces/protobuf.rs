//! As much of Protocol Buffers' wire format as writing OTLP takes.

/// A message that is being written.
#[derive(Debug, Default, Clone)]
pub(super) struct Message(Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A field of type `enum`, `int64` or `uint32`. A zero is what is not written.
    pub(super) fn number(mut self, field: u32, value: u64) -> Self {
        if value != 0 {
            self.tag(field, VARINT);
            self.varint(value);
        }
        self
    }

    /// A number that counts as given when it is zero: one of a `oneof`.
    pub(super) fn given_number(mut self, field: u32, value: i64) -> Self {
        self.tag(field, VARINT);
        self.varint(u64::from_ne_bytes(value.to_ne_bytes()));
        self
    }

    /// A field of type `fixed64`.
    pub(super) fn fixed64(mut self, field: u32, value: u64) -> Self {
        self.tag(field, FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A field of type `bytes` or `string`.
    pub(super) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.tag(field, LENGTH);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// A field that is a message, or one of many.
    pub(super) fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// Many messages of one field.
    pub(super) fn messages(self, field: u32, values: impl IntoIterator<Item = Self>) -> Self {
        values.into_iter().fold(self, |message, value| message.message(field, &value))
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_written() {
        let hex = |message: Message| {
            message.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(hex(Message::default().number(1, 150)), "089601");
        assert_eq!(hex(Message::default().bytes(2, b"testing")), "120774657374696e67");
        let inner = Message::default().number(1, 150);
        assert_eq!(hex(Message::default().message(3, &inner)), "1a03089601");
        assert_eq!(hex(Message::default().given_number(1, -2)), "08feffffffffffffffff01");
        assert_eq!(hex(Message::default().fixed64(1, 1)), "090100000000000000");
        assert_eq!(hex(Message::default().number(1, 0)), "");
    }
}
