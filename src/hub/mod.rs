//! Speaks the IoT Hub service API as a client.
