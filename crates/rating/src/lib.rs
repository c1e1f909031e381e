//! Seconds times tariff to charge, exactly.
