//! Media relay: for each datagram, where it goes next.
