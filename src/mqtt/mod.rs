//! One guarded MQTT 3.1.1 link that serves both ends.
