// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A test for each order.

use super::said_again;

/// The names of all orders, and a test for each.
macro_rules! orders {
    ($($test:ident: $name:literal,)*) => {
        pub(crate) const NAMES: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                println!("{}: {:?}", $name, said_again($name));
            }
        )*
    };
}

orders! {
    cloud_hypervisor_blk_is_answered_as_recorded: "cloud-hypervisor-blk",
    cloud_hypervisor_fs_is_answered_as_recorded: "cloud-hypervisor-fs",
    cloud_hypervisor_net_is_answered_as_recorded: "cloud-hypervisor-net",
    crosvm_blk_is_answered_as_recorded: "crosvm-blk",
    crosvm_fs_is_answered_as_recorded: "crosvm-fs",
    crosvm_net_is_answered_as_recorded: "crosvm-net",
    dpdk_22_11_net_one_pair_is_answered_as_recorded: "dpdk-22.11-net-one-pair",
    dpdk_22_11_net_two_pairs_is_answered_as_recorded: "dpdk-22.11-net-two-pairs",
    firecracker_blk_is_answered_as_recorded: "firecracker-blk",
    qemu_10_0_blk_boot_is_answered_as_recorded: "qemu-10.0-blk-boot",
    qemu_10_0_blk_memory_hotplug_is_answered_as_recorded: "qemu-10.0-blk-memory-hotplug",
    qemu_10_0_blk_migrate_is_answered_as_recorded: "qemu-10.0-blk-migrate",
    qemu_10_0_blk_reboot_is_answered_as_recorded: "qemu-10.0-blk-reboot",
    qemu_10_0_blk_reconnect_is_answered_as_recorded: "qemu-10.0-blk-reconnect",
    qemu_10_0_blk_resize_is_answered_as_recorded: "qemu-10.0-blk-resize",
    qemu_10_0_blk_stop_cont_is_answered_as_recorded: "qemu-10.0-blk-stop-cont",
    qemu_10_0_fs_boot_is_answered_as_recorded: "qemu-10.0-fs-boot",
    qemu_10_0_fs_memory_hotplug_is_answered_as_recorded: "qemu-10.0-fs-memory-hotplug",
    qemu_10_0_fs_reboot_is_answered_as_recorded: "qemu-10.0-fs-reboot",
    qemu_10_0_fs_stop_cont_is_answered_as_recorded: "qemu-10.0-fs-stop-cont",
    qemu_10_0_net_boot_is_answered_as_recorded: "qemu-10.0-net-boot",
    qemu_10_0_net_memory_hotplug_is_answered_as_recorded: "qemu-10.0-net-memory-hotplug",
    qemu_10_0_net_migrate_is_answered_as_recorded: "qemu-10.0-net-migrate",
    qemu_10_0_net_reboot_is_answered_as_recorded: "qemu-10.0-net-reboot",
    qemu_10_0_net_reconnect_is_answered_as_recorded: "qemu-10.0-net-reconnect",
    qemu_10_0_net_stop_cont_is_answered_as_recorded: "qemu-10.0-net-stop-cont",
    qemu_7_2_blk_boot_is_answered_as_recorded: "qemu-7.2-blk-boot",
    qemu_7_2_blk_memory_hotplug_is_answered_as_recorded: "qemu-7.2-blk-memory-hotplug",
    qemu_7_2_blk_migrate_is_answered_as_recorded: "qemu-7.2-blk-migrate",
    qemu_7_2_blk_reboot_is_answered_as_recorded: "qemu-7.2-blk-reboot",
    qemu_7_2_blk_reconnect_is_answered_as_recorded: "qemu-7.2-blk-reconnect",
    qemu_7_2_blk_resize_is_answered_as_recorded: "qemu-7.2-blk-resize",
    qemu_7_2_blk_stop_cont_is_answered_as_recorded: "qemu-7.2-blk-stop-cont",
    qemu_7_2_fs_boot_is_answered_as_recorded: "qemu-7.2-fs-boot",
    qemu_7_2_fs_memory_hotplug_is_answered_as_recorded: "qemu-7.2-fs-memory-hotplug",
    qemu_7_2_fs_reboot_is_answered_as_recorded: "qemu-7.2-fs-reboot",
    qemu_7_2_fs_stop_cont_is_answered_as_recorded: "qemu-7.2-fs-stop-cont",
    qemu_7_2_net_boot_is_answered_as_recorded: "qemu-7.2-net-boot",
    qemu_7_2_net_memory_hotplug_is_answered_as_recorded: "qemu-7.2-net-memory-hotplug",
    qemu_7_2_net_migrate_is_answered_as_recorded: "qemu-7.2-net-migrate",
    qemu_7_2_net_reboot_is_answered_as_recorded: "qemu-7.2-net-reboot",
    qemu_7_2_net_reconnect_is_answered_as_recorded: "qemu-7.2-net-reconnect",
    qemu_7_2_net_stop_cont_is_answered_as_recorded: "qemu-7.2-net-stop-cont",
    uml_blk_boot_is_answered_as_recorded: "uml-blk-boot",
    uml_fs_boot_is_answered_as_recorded: "uml-fs-boot",
    uml_net_boot_is_answered_as_recorded: "uml-net-boot",
    virtio_driver_blk_is_answered_as_recorded: "virtio-driver-blk",
}
