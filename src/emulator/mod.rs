//! A local IoT Hub.
