from servicekit.entry import entry

SEED = "SUACJ2VPDIODKYVRGLOZRQHLWMN7BXIFNIOQUGSRBOPYVLLB6DXVHIFFEM"


class TestEntry:
    def test_takes_the_seed_out_of_every_url(self):
        found = entry(f"nats://{SEED}@a:4222, nats://{SEED}@b:4223", user="cache")
        assert found.servers == ("nats://a:4222", "nats://b:4223")
        assert found.options == {"inbox_prefix": "_INBOX.cache", "nkeys_seed_str": SEED}

    def test_lets_names_and_passwords_and_nothing_through(self):
        assert entry("nats://SUsan:secret@a:4222", user="x").servers == ("nats://SUsan:secret@a:4222",)
        found = entry("nats://a:4222", user="gateway")
        assert (found.servers, found.options) == (("nats://a:4222",), {"inbox_prefix": "_INBOX.gateway"})
