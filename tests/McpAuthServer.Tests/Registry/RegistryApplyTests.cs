using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using McpAuthServer.Keys;
using McpAuthServer.Registry.Apply;
using GrantedAuthority = McpAuth.Protocol.ToolCalls.Authority;

namespace McpAuthServer.Tests.Registry;

/// <summary>What applying a file does to the registry and writes to the audit log.</summary>
public abstract class RegistryApplyTests : RegistrySuite
{
    [SuiteFact]
    public async Task Apply_FullFile_IsWhatTheSnapshotHolds()
    {
        Assert.Equal(31, await Registry.Applied(ApplyFile.Full()));

        var snapshot = await Registry.Snapshot();
        Assert.Equal(2, snapshot.Version);

        var agent = snapshot.Agents["agt_refunds"];
        Assert.Equal(("Refunds", "usr_ada", true, true, true, TimeSpan.FromHours(1)),
            (agent.Name, agent.Owner, agent.Active, agent.RequireDpop, agent.ClientCredentials, agent.MaxTask));
        Assert.Equal(["agt_reader"], agent.HandOffTo);
        Assert.Equal(3, agent.Ceiling.At("https://files.example/mcp")!.Tools["refund"].MaxCalls);
        var reader = snapshot.Agents["agt_reader"];
        Assert.Equal((false, false, TimeSpan.FromHours(24), true), (reader.RequireDpop, reader.ClientCredentials, reader.MaxTask, reader.Ceiling.IsEmpty));

        Assert.Equal(["money"], snapshot.ExclusiveClasses);
        Assert.Equal("support", agent.ToolClass);
        var cluster = snapshot.WorkloadIssuers["https://oidc.cluster.example"];
        Assert.Equal(("wli_cluster", "kubernetes", "mcpauth", 1, null, TimeSpan.FromHours(2), true),
            (cluster.Id, cluster.Kind, cluster.Audience, cluster.Keys!.Count, cluster.KeySet, cluster.Longest, cluster.Active));
        Assert.Equal("https://spire.example/bundle", snapshot.WorkloadIssuers["spiffe://corp.example"].KeySet);
        var binding = Assert.Single(snapshot.Bindings);
        Assert.Equal(("agt_refunds", "wli_cluster", "refunds-workload"), (binding.Agent, binding.Issuer, binding.Client));
        Assert.Equal(new Dictionary<string, string> { ["namespace"] = "prod", ["service_account_uid"] = "a087" }, binding.Selectors);

        var corporate = snapshot.IdentityProviders["https://idp.example"];
        Assert.Equal(("idp_corp", 1, null, true), (corporate.Id, corporate.Keys!.Count, corporate.KeySet, corporate.Active));
        Assert.Equal(["hashed", "refunds-client"], corporate.Clients.Order());
        Assert.Equal(["example.com"], corporate.LinkDomains);
        Assert.Equal(["example.com", "example.org"], corporate.Provision!.Domains.Order());
        Assert.Equal(new Dictionary<string, string> { ["CN=Support"] = "grp_support" }, corporate.Provision.Groups);
        var another = snapshot.IdentityProviders["https://other-idp.example/tenant"];
        Assert.Equal((null, "https://other-idp.example/keys", null, 0), (another.Keys, another.KeySet, another.Provision, another.LinkDomains.Count));

        var client = snapshot.Clients["refunds-client"];
        Assert.Equal(("agt_refunds", "private_key_jwt", null, true, true), (client.AgentId, client.AuthMethod, client.SecretHash, client.LegacyAudience, client.Active));
        Assert.Equal("k1", Assert.Single(client.Keys).KeyId);
        Assert.Equal(2, client.GrantTypes.Count);
        var batch = snapshot.Clients["https://batch.example/job"];
        Assert.Equal((Base64Url.Sha256(ApplyFile.ClientSecret), "tool:read_order"), (batch.SecretHash, batch.Authority.ToScope("https://files.example/mcp")));
        Assert.Equal("3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", snapshot.Clients["hashed"].SecretHash);
        Assert.Equal(("none", null, true), (snapshot.Clients["public"].AuthMethod, snapshot.Clients["public"].SecretHash, snapshot.Clients["public"].Authority.IsEmpty));
        Assert.Equal("tls_client_auth_subject_dn=CN=agent,O=Example", snapshot.Clients["by-dn"].Subject!.ToString());
        Assert.Equal("tls_client_auth_san_uri=spiffe://example.org/agent", snapshot.Clients["by-uri"].Subject!.ToString());
        Assert.Equal(["3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"], snapshot.Clients["self-signed"].Certificates);
        Assert.Equal((true, false, null, 0), (snapshot.Clients["by-dn"].BindsToCertificate, snapshot.Clients["by-dns"].BindsToCertificate, batch.Subject, batch.Certificates.Count));
        Assert.Equal(["ops"], snapshot.Clients.Values.Where(c => c.Administers).Select(c => c.Id));
        // A person's consent was to whoever held what the client authenticates by.
        Assert.Equal(snapshot.Clients.Count, snapshot.Clients.Values.Select(c => c.KeysDigest).Distinct().Count());

        var files = snapshot.ByResource("https://files.example/mcp")!;
        Assert.Equal(("srv_files", "Files", true), (files.Id, files.Name, files.Active));
        var refund = files.Tools["refund"];
        Assert.Equal(("approved", "destructive", "money", true, "sha-256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            (refund.State, refund.Sensitivity, refund.Class, refund.ApprovalRequired, refund.Digest));
        Assert.Equal(("approved", "read", false, null), (files.Tools["read_order"].State, files.Tools["read_order"].Sensitivity,
            files.Tools["read_order"].ApprovalRequired, files.Tools["read_order"].Digest));

        var edge = Assert.Single(snapshot.Edges);
        Assert.Equal(("srv_files", "refund", "srv_ledger"), (edge.FromServer, edge.FromTool, edge.ToServer));
        Assert.Equal(["post"], edge.ToTools);
        Assert.Equal(["usr_ada|Ada|ada@example.com|1|1", "usr_bob|Bob|bob@example.com|1|0"], await Registry.Query("select id, name, email, enabled, administrator from users order by id"));
        Assert.Equal(["grp_support|usr_ada"], await Registry.Query("select group_id, user_id from group_members"));
        Assert.Equal(["1798761600000"], await Registry.Query("select review_at from agents where id = 'agt_refunds'"));
    }

    [SuiteFact]
    public async Task Apply_SameFileAgain_ChangesNothingAndSaysSo()
    {
        var text = ApplyFile.Full().ToJsonString();
        await Registry.File(text);
        var before = await Registry.Dump();
        Time.Advance(TimeSpan.FromHours(1));

        ApplyOutcome? again = null;
        var events = await Registry.EventsOf(async () => again = await Registry.File(text));

        Assert.Equal((0, true), (again!.Changed, again.Applied));
        Assert.Equal(before, await Registry.Dump());
        var e = Assert.Single(events);
        Assert.Equal((AuditTypes.AdminApplied, "success"), (e.Type, e.Outcome));
        Assert.Equal(0, (int)e.Data!["changed"]!);
        Assert.Equal("sha-256:" + Base64Url.Sha256(text), (string)e.Data["file_digest"]!);
    }

    [SuiteFact]
    public async Task Apply_SameContentWrittenDifferently_ChangesNothing()
    {
        await Registry.Applied(ApplyFile.Full());
        var other = ApplyFile.Full();
        var hashes = other["clients"]![0]!["grant_types"]!.AsArray();
        var first = hashes[0];
        hashes.RemoveAt(0);
        hashes.Add(first);
        other["agents"]![0]!["review_at"] = "2027-01-01T01:00:00.000+01:00";
        other["agents"]![0]!["max_task_seconds"] = 3.6e3;

        Assert.Equal(0, await Registry.Applied(other));
    }

    [SuiteFact]
    public async Task Apply_OneMemberChanged_NamesThatMemberOnlyAndRaisesTheVersionOnce()
    {
        await Registry.Applied(ApplyFile.Full());
        Time.Advance(TimeSpan.FromSeconds(1));

        var changed = ApplyFile.Full().With("agents[1].purpose", "\"Reads more\"").With("clients[1].secret", "\"another-secret-0123456789-abcdefghi\"")
            .With("users[1].groups", "[\"grp_all\"]").With("tool_servers[0].tools[1].approval", "\"required\"").With("groups[1].name", "\"Everyone\"");
        var events = await Registry.EventsOf(() => Registry.Applied(changed));

        Assert.Equal(
            ["group grp_all [\"name\"]", "user usr_bob [\"groups\"]", "agent agt_reader [\"purpose\"]", "tool srv_files/read_order [\"approval\"]",
                "client https://batch.example/job [\"secret\"]"],
            events.Where(e => e.Type == AuditTypes.AdminChanged).Select(e => $"{e.Data!["kind"]} {e.Data["id"]} {e.Data["members"]!.ToJsonString()}"));
        Assert.Equal(5, (int)events[^1].Data!["changed"]!);
        Assert.Equal(AuditTypes.AdminApplied, events[^1].Type);
        var snapshot = await Registry.Snapshot();
        Assert.Equal(3, snapshot.Version);
        Assert.Equal((2, 1), (snapshot.ToolServers["srv_files"].Manifest - 1, snapshot.ToolServers["srv_ledger"].Manifest - 1));
    }

    [SuiteFact]
    public async Task Apply_WhatTheFileDoesNotName_Stays()
    {
        await Registry.Applied(ApplyFile.Full());
        var before = await Registry.Dump();

        Assert.Equal(0, await Registry.Applied(new JsonObject()));
        var oneTool = ApplyFile.Full();
        foreach (var member in new[] { "users", "groups", "agents", "clients", "edges" })
            oneTool.Remove(member);
        oneTool.With("tool_servers[0].tools", "[]").With("tool_servers[0].enrolment_secrets", null);

        Assert.Equal(0, await Registry.Applied(oneTool));
        Assert.Equal(before, await Registry.Dump());
    }

    [SuiteFact]
    public async Task Apply_MemberLeftOutOfANamedEntry_GetsItsDefault()
    {
        await Registry.Applied(ApplyFile.Full());

        await Registry.Applied(ApplyFile.Full().With("agents[0].client_credentials", null).With("agents[0].hand_off_to", null)
            .With("users[0].groups", null).With("users[0].email", null).With("users[0].password", null).With("clients[1].authority", null));

        var snapshot = await Registry.Snapshot();
        Assert.False(snapshot.Agents["agt_refunds"].ClientCredentials);
        Assert.Empty(snapshot.Agents["agt_refunds"].HandOffTo);
        Assert.True(snapshot.Clients["https://batch.example/job"].Authority.IsEmpty);
        Assert.Empty(await Registry.Query("select user_id from group_members"));
        Assert.Equal(["null"], await Registry.Query("select email from users where id = 'usr_ada'"));
    }

    [SuiteFact]
    public async Task Apply_FailureInTheMiddle_LeavesNothing()
    {
        // Users, agents and clients are written before the first tool server's key is wrapped, and that fails.
        var broken = new KeyEncryption(new byte[32]);
        broken.Dispose();
        var before = await Registry.Dump();

        await Assert.ThrowsAsync<ObjectDisposedException>(() =>
            new RegistryApply(Registry.Log, Registry.Reads, broken, RegistryHarness.Hasher, RegistryHarness.Issuer, Time).Apply(Encoding.UTF8.GetBytes(ApplyFile.Full().ToJsonString())));

        Assert.Equal(before, await Registry.Dump());
        Assert.Empty(await Registry.Events());
    }

    [SuiteFact]
    public async Task Apply_SeveralFiles_AreATransactionEachAndStopAtTheRefusedOne()
    {
        using var directory = new TempDirectory();
        string[] files =
        [
            directory.Write("1.json", """{"users":[{"id":"usr_1","name":"One"}]}"""),
            directory.Write("2.json", """{"agents":[{"id":"agt_1","name":"A","owner":"usr_1","purpose":"p","ceiling":[]}]}"""),
            directory.Write("3.json", """{"users":[{"id":"usr_3","name":"Three"}],"agents":[{"id":"agt_3","name":"A","owner":"usr_2","purpose":"p","ceiling":[]}]}"""),
            directory.Write("4.json", """{"users":[{"id":"usr_2","name":"Two"}]}"""),
        ];

        var outcomes = await Registry.Apply.ApplyFiles(files, CancellationToken.None);

        Assert.Equal([true, true, false], outcomes.Select(o => o.Outcome.Applied));
        Assert.Equal(files[2], outcomes[2].File);
        Assert.Equal(["usr_1"], await Registry.Query("select id from users"));
        Assert.Equal(["agt_1"], await Registry.Query("select id from agents"));
    }

    [SuiteFact]
    [Trait("Attack", "92")]
    public async Task Apply_Secrets_AreInNoTableAndTheirHashesInNoEvent()
    {
        await Registry.Applied(ApplyFile.Full());

        var dump = await Registry.Dump();
        var events = string.Join('\n', await Registry.Query("select body from audit_events"));
        foreach (var secret in new[] { ApplyFile.ClientSecret, ApplyFile.EnrolmentSecret })
        {
            Assert.DoesNotContain(secret, dump + events, StringComparison.Ordinal);
            Assert.Contains(Base64Url.Sha256(secret), dump, StringComparison.Ordinal);
            Assert.DoesNotContain(Base64Url.Sha256(secret), events, StringComparison.Ordinal);
        }
    }

    [SuiteFact]
    public async Task Apply_RefusedSecret_IsNotQuoted()
    {
        var file = ApplyFile.With("clients[1].secret", "\"too-short-s3cret\"").With("tool_servers[0].enrolment_secrets[0]", "\"s3cret with spaces 0123456789-abcdefghij\"");

        var outcome = await Registry.File(file);

        Assert.Equal(2, outcome.Faults.Count);
        Assert.DoesNotContain("s3cret", string.Join('\n', outcome.Faults) + string.Join('\n', await Registry.Query("select body from audit_events")), StringComparison.Ordinal);
    }

    [SuiteFact]
    public async Task Apply_UsedEnrolmentSecret_IsNotArmedAgain()
    {
        await Registry.Applied(ApplyFile.Full());
        await Registry.Execute("update enrolment_secrets set used_at = @at, used_by = @by where hash = @hash", 5L, "grd_1", Base64Url.Sha256(ApplyFile.EnrolmentSecret));
        var before = await Registry.Rows("enrolment_secrets");

        Assert.Equal(0, await Registry.Applied(ApplyFile.Full()));
        Assert.Equal(before, await Registry.Rows("enrolment_secrets"));

        Assert.Equal(1, await Registry.Applied(ApplyFile.Full().With("tool_servers[0].enrolment_secrets[1]", "\"second-secret-0123456789-abcdefghijk\"")));
        Assert.Equal(3, (await Registry.Query("select hash from enrolment_secrets where tool_server = 'srv_files'")).Count);
    }

    [SuiteFact]
    public async Task Apply_ToolServers_GetArgumentKeysOfTheirOwnThatStay()
    {
        await Registry.Applied(ApplyFile.Full());
        byte[] Key(string hex, string server) => RegistryHarness.Keys.Unwrap(Convert.FromHexString(hex), ApplyToolServers.ArgsKeyPurpose(server));
        var wrapped = await Registry.Query("select args_key_wrapped from tool_servers order by id");

        var (files, ledger) = (Key(wrapped[0], "srv_files"), Key(wrapped[1], "srv_ledger"));
        Assert.Equal((32, 32), (files.Length, ledger.Length));
        Assert.NotEqual(files, ledger);
        Assert.ThrowsAny<System.Security.Cryptography.CryptographicException>(() => Key(wrapped[0], "srv_ledger"));

        await Registry.Applied(ApplyFile.Full().With("tool_servers[0].name", "\"Renamed\""));
        Assert.Equal(wrapped, await Registry.Query("select args_key_wrapped from tool_servers order by id"));
    }

    [SuiteFact]
    public async Task Apply_EdgeWithoutTools_IsClosed()
    {
        await Registry.Applied(ApplyFile.Full());

        Assert.Equal(1, await Registry.Applied(ApplyFile.With("edges[0].to.tools", "[]")));
        Assert.Empty(Assert.Single((await Registry.Snapshot()).Edges).ToTools);
    }

    [SuiteFact]
    public async Task Apply_Jwks_IsStoredAsPublicMembersOnly()
    {
        await Registry.Applied(ApplyFile.Full());

        var stored = Assert.Single(await Registry.Query("select jwks from clients where id = 'refunds-client'"));
        Assert.DoesNotContain("\"d\"", stored, StringComparison.Ordinal);
        Assert.Contains("\"kid\":\"k1\"", stored, StringComparison.Ordinal);
    }

    [SuiteFact]
    public async Task Apply_Ceiling_IsStoredAsTheGrammarWritesIt()
    {
        await Registry.Applied(ApplyFile.Full());

        var stored = Assert.Single(await Registry.Query("select ceiling from agents where id = 'agt_refunds'"));
        var snapshot = (await Registry.Snapshot()).Agents["agt_refunds"].Ceiling;
        Assert.Equal(snapshot.ToJson(), stored);
        Assert.Null(snapshot.Exceeds(snapshot));
        Assert.NotNull(GrantedAuthority.ForTools("https://files.example/mcp", ["refund"]).Exceeds(snapshot));
    }
}
