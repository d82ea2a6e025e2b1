use alloc::vec::Vec;

use refpoint_keys::EntityId;
use refpoint_wire::Carriage;
use zeroize::Zeroizing;

const LABEL: &[u8] = b"refpoint/1";

/// What both ends must agree on before the first message means anything (rule H1).
///
/// ```text
/// prologue = "refpoint/1" ‖ carriage(1) ‖ f(header) ‖ f(initiator) ‖ f(responder) ‖ f(binding)
/// f(x)     = length of x as 16 bits, big-endian ‖ x
/// ```
///
/// `header` is the clear header of the Initiate and states version, profile, suite, reference
/// point, index, key id and cookie. `initiator` is empty in `known`, where message 1 carries it.
/// `binding` is the exporter of the association that is refreshed (rule L1), else empty.
pub(crate) fn prologue(
    carriage: Carriage,
    header: &[u8],
    initiator: Option<&EntityId>,
    responder: &EntityId,
    binding: Option<&[u8; 32]>,
) -> Zeroizing<Vec<u8>> {
    let fields = [
        header,
        initiator.map_or(&[], |id| id.as_str().as_bytes()),
        responder.as_str().as_bytes(),
        binding.map_or(&[], |exporter| &exporter[..]),
    ];
    let len: usize = fields.iter().map(|field| 2 + field.len()).sum();
    // Of its final size from the start: a vector that grows leaves copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(LABEL.len() + 1 + len));
    out.extend_from_slice(LABEL);
    out.push(carriage.code());
    for field in fields {
        push_field(&mut out, field);
    }
    out
}

/// Appends a length-prefixed field. Ids and headers are far below 65 536 bytes.
pub(crate) fn push_field(out: &mut Vec<u8>, field: &[u8]) {
    out.extend_from_slice(&(field.len() as u16).to_be_bytes());
    out.extend_from_slice(field);
}
