"""The training loop: losses, schedule, optimizer, devices, distillation, and the solved head."""
