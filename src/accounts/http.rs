//! STUB
use crate::app::Registrar;
/// Its routes.
pub fn routes(_registrar: &mut Registrar) {}
