//! The contracts every part of Troupe is written against: modules, ports, routes, ids, errors, configuration. No I/O.
