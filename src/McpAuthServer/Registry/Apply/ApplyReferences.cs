using McpAuth.Protocol;
using McpAuthServer.Attestation;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <summary>
/// Checks what a file refers to against the file and the database together, inside the transaction that applies it: what was found
/// is still there when the rows are written.
/// </summary>
internal sealed class ApplyReferences
{
    private static readonly Sql
        Users = new("select id from users"),
        Groups = new("select id from groups"),
        Agents = new("select id from agents"),
        Servers = new("select id, resource from tool_servers"),
        Tools = new("select tool_server, name from tools"),
        Clients = new("select id, agent_id from clients where origin = 'registered'"),
        Issuers = new("select id, kind from workload_issuers"),
        Providers = new("select id, issuer from identity_providers"),
        SecretOwner = new("select tool_server from enrolment_secrets where hash = @hash");

    private readonly List<Fault> faults = [];
    private readonly HashSet<string> users, groups, agents;
    private readonly Dictionary<string, string> stored, resources, servers, clients, kinds;
    private readonly HashSet<(string Server, string Tool)> tools;

    private ApplyReferences(WriteTx tx, ApplyDocument document)
    {
        users = Known(tx, Users, document.Users.Select(u => u.Id));
        groups = Known(tx, Groups, document.Groups.Select(g => g.Id));
        agents = Known(tx, Agents, document.Agents.Select(a => a.Id));
        stored = tx.All(Servers.With(), row => (Id: row.GetString(0), Resource: row.GetString(1)))
            .ToDictionary(s => s.Id, s => s.Resource, StringComparer.Ordinal);
        resources = new Dictionary<string, string>(stored, StringComparer.Ordinal);
        servers = stored.ToDictionary(s => s.Value, s => s.Key, StringComparer.Ordinal);
        foreach (var server in document.ToolServers)
        {
            resources.TryAdd(server.Id, server.Resource.Value);
            servers.TryAdd(server.Resource.Value, server.Id);
        }
        tools = tx.All(Tools.With(), row => (row.GetString(0), row.GetString(1))).ToHashSet();
        clients = tx.All(Clients.With(), row => (Id: row.GetString(0), Agent: row.IsDBNull(1) ? "" : row.GetString(1))).ToDictionary(c => c.Id, c => c.Agent, StringComparer.Ordinal);
        foreach (var client in document.Clients)
            clients[client.Id] = client.Agent?.Value ?? "";
        kinds = tx.All(Issuers.With(), row => (Id: row.GetString(0), Kind: row.GetString(1))).ToDictionary(i => i.Id, i => i.Kind, StringComparer.Ordinal);
        foreach (var issuer in document.WorkloadIssuers)
            kinds[issuer.Id] = issuer.Kind;
        tools.UnionWith(document.ToolServers.SelectMany(s => s.Tools.Select(t => (s.Id, t.Name))));
    }

    /// <summary>Codes: <c>unknown_reference</c>, <c>conflict</c>.</summary>
    public static IReadOnlyList<Fault> Check(WriteTx tx, ApplyDocument document, Issuer issuer)
    {
        var references = new ApplyReferences(tx, document);
        references.Check(document);
        foreach (var server in document.ToolServers)
            references.CheckIdentity(tx, server, issuer);
        references.CheckProviders(tx, document.IdentityProviders, issuer);
        return [.. references.faults, .. ApplyAccounts.Conflicts(tx, document.Users)];
    }

    private void Check(ApplyDocument document)
    {
        foreach (var group in document.Users.SelectMany(u => u.Groups))
            Known(groups, group, "group");
        foreach (var agent in document.Agents)
        {
            Known(users, agent.Owner, "user");
            foreach (var next in agent.HandOffTo)
                Known(agents, next, "agent");
            Authority(agent.Ceiling);
            foreach (var binding in agent.Trust)
                Binding(agent.Id, binding);
        }
        foreach (var client in document.Clients)
        {
            if (client.Agent is { } agent)
                Known(agents, agent, "agent");
            Authority(client.Authority);
            foreach (var server in client.ToolServers)
                Server(server);
            if (client.Introspects is { } asker)
                Server(asker);
        }
        foreach (var server in document.ToolServers)
            Known(users, server.Owner, "user");
        foreach (var edge in document.Edges)
        {
            if (Server(edge.FromServer))
                Tool(edge.FromServer.Value, edge.FromTool);
            if (!Server(edge.ToServer))
                continue;
            foreach (var tool in edge.ToTools)
                Tool(edge.ToServer.Value, tool);
        }
    }

    private void Binding(string agent, AppliedBinding binding)
    {
        if (!clients.TryGetValue(binding.Client.Value, out var of))
            faults.Add(new Fault("unknown_reference", "There is no such client.", binding.Client.Path));
        else if (of != agent)
            faults.Add(new Fault("conflict", "The client authenticates another agent, or none.", binding.Client.Path));
        if (!kinds.TryGetValue(binding.Issuer.Value, out var name))
        {
            faults.Add(new Fault("unknown_reference", "There is no such issuer.", binding.Issuer.Path));
            return;
        }
        var kind = WorkloadKinds.All[name];
        foreach (var selector in binding.Names.Where(s => !kind.Knows(s.Value)))
            faults.Add(new Fault("invalid_value", $"Evidence of the kind {name} does not say it.", selector.Path));
        foreach (var needed in kind.Required.Where(n => !binding.Names.Any(s => s.Value == n)))
            faults.Add(new Fault("missing_member", $"Without it the binding is of more than one program: {needed}.", ObjectReader.Child(binding.Path, "select")));
    }

    private void CheckIdentity(WriteTx tx, AppliedToolServer server, Issuer issuer)
    {
        // A guard there would accept what is for this server alone (invariant 1).
        if (issuer.OwnAudiences.Contains(server.Resource.Value))
            faults.Add(new Fault("conflict", "It is an audience of this server itself.", server.Resource.Path));
        // The resource is the audience of everything ever granted for the server: another one is another server.
        if (stored.TryGetValue(server.Id, out var resource))
        {
            if (server.Resource.Value.Length > 0 && resource != server.Resource.Value)
                faults.Add(new Fault("conflict", "The resource of a registered tool server cannot change.", server.Resource.Path));
        }
        else if (stored.ContainsValue(server.Resource.Value))
        {
            faults.Add(new Fault("conflict", "Another tool server has this resource.", server.Resource.Path));
        }
        foreach (var secret in server.EnrolmentSecretHashes)
        {
            if (tx.First(SecretOwner.With(secret.Value), row => row.GetString(0)) is { } owner && owner != server.Id)
                faults.Add(new Fault("conflict", "Another tool server has this secret.", secret.Path));
        }
    }

    private void CheckProviders(WriteTx tx, IReadOnlyList<AppliedProvider> providers, Issuer issuer)
    {
        var known = tx.All(Providers.With(), row => (Id: row.GetString(0), Issuer: row.GetString(1)));
        foreach (var provider in providers)
        {
            // draft-ietf-oauth-identity-assertion-authz-grant, Cross-Domain Use: nobody redeems what it issued itself.
            if (provider.Issuer.Value == issuer.Value)
                faults.Add(new Fault("conflict", "This server speaks for nobody to itself.", provider.Issuer.Path));
            // Its subjects are those of that issuer: under another one they would be other people.
            if (known.Exists(k => k.Id == provider.Id && provider.Issuer.Value.Length > 0 && k.Issuer != provider.Issuer.Value))
                faults.Add(new Fault("conflict", "The issuer of a registered identity provider cannot change.", provider.Issuer.Path));
            if (known.Exists(k => k.Id != provider.Id && k.Issuer == provider.Issuer.Value))
                faults.Add(new Fault("conflict", "Another identity provider has this issuer.", provider.Issuer.Path));
            foreach (var client in provider.Clients.Where(c => !clients.ContainsKey(c.Value)))
                faults.Add(new Fault("unknown_reference", "There is no such client.", client.Path));
            foreach (var link in provider.Links)
                Known(users, link.User, "user");
            foreach (var group in provider.Groups)
                Known(groups, group, "group");
        }
    }

    private void Authority(AppliedAuthority authority)
    {
        foreach (var location in authority.Locations.Where(l => !servers.ContainsKey(l.Value)))
            faults.Add(new Fault("unknown_reference", "No tool server has this resource.", location.Path));
        foreach (var (location, tool) in authority.Tools)
        {
            if (servers.TryGetValue(location, out var server))
                Tool(server, tool);
        }
    }

    private bool Server(At<string> server)
    {
        if (resources.ContainsKey(server.Value))
            return true;
        faults.Add(new Fault("unknown_reference", "There is no such tool server.", server.Path));
        return false;
    }

    private void Tool(string server, At<string> tool)
    {
        if (!tools.Contains((server, tool.Value)))
            faults.Add(new Fault("unknown_reference", "The tool server has no such tool.", tool.Path));
    }

    private void Known(HashSet<string> known, At<string> reference, string kind)
    {
        // An empty one was already refused as a value.
        if (reference.Value.Length > 0 && !known.Contains(reference.Value))
            faults.Add(new Fault("unknown_reference", $"There is no such {kind}.", reference.Path));
    }

    private static HashSet<string> Known(WriteTx tx, Sql all, IEnumerable<string> declared)
    {
        var known = tx.All(all.With(), row => row.GetString(0)).ToHashSet(StringComparer.Ordinal);
        known.UnionWith(declared);
        return known;
    }
}
