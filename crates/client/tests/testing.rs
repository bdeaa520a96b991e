//! What users test their services and sagas with: a clean one passes, and each fault is caught.

mod services;
mod toy;
mod unwinding;
