using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;

namespace McpAuthServer.Registry.Apply;

/// <summary>Identity providers, and the rules by which their subjects are people here.</summary>
internal sealed partial class ApplyParser
{
    private AppliedProvider? IdentityProvider(ObjectReader entry)
    {
        var id = NewId(entry, Id.IdentityProvider);
        var issuer = New(providers, entry, "issuer", entry.Text("issuer", ApplyGrammar.IsIssuer, "an https address without query and fragment"));
        var (jwks, address) = Published(entry);
        var clients = entry.Texts("clients", ApplyGrammar.IsClientId, "a client's id", required: true);
        if (entry.IsEmptyArray("clients"))
            entry.Refuse("invalid_value", "It must speak to some client.", "clients");
        var subjects = new HashSet<string>(StringComparer.Ordinal);
        var links = Entries(entry, "links", ApplyGrammar.LinkMembers, link =>
            New(subjects, link, "subject", link.Line("subject", ApplyGrammar.SubjectLength)) is var subject && link.Reference("user", IsId(Id.User), IdOf(Id.User)) is { } user && subject is not null
                ? new AppliedLink(subject, user) : null);
        var (rule, groups) = Provision(entry);
        var applied = new AppliedProvider(
            id ?? "", entry.Line("name", ApplyGrammar.NameLength) ?? "", new(issuer ?? "", entry.At("issuer")), jwks, address, clients, links,
            Domains(entry, "link_by_email"), rule, groups, entry.OneOf("state", ApplyGrammar.States, required: false));
        return id is null ? null : applied;
    }

    /// <summary>The rule as it is stored, and the groups it puts people in.</summary>
    private (string? Stored, IReadOnlyList<At<string>> Groups) Provision(ObjectReader entry)
    {
        if (entry.Get("provision", required: false) is not { } json || ObjectReader.Open(json, entry.At("provision"), ApplyGrammar.ProvisionMembers, faults) is not { } rule)
            return (null, []);
        // Without a condition it would let in everybody whom the provider knows; who means that says so by their domain.
        if (!rule.Has("email_domains") && !rule.Has("groups"))
            entry.Refuse("invalid_value", "It must say who may come: email_domains, groups or both.", "provision");
        var domains = Domains(rule, "email_domains");
        if (rule.IsEmptyArray("email_domains"))
            rule.Refuse("invalid_value", "There must be a domain.", "email_domains");
        var groups = new List<At<string>>();
        var map = new JsonObject();
        if (rule.Get("groups", required: false) is { } named)
        {
            string[] names = named.ValueKind == JsonValueKind.Object ? [.. named.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal)] : [];
            if (ObjectReader.Open(named, rule.At("groups"), names, faults) is { } members)
                foreach (var name in names)
                    if (!ApplyGrammar.IsLine(name, ApplyGrammar.NameLength))
                        members.Refuse("invalid_value", "No group has such a name.", name);
                    else if (members.Reference(name, IsId(ApplyGrammar.Group), IdOf(ApplyGrammar.Group)) is { } group)
                    {
                        groups.Add(group);
                        map[name] = group.Value;
                    }
            if (named.ValueKind == JsonValueKind.Object && names.Length == 0)
                rule.Refuse("invalid_value", "There must be a group.", "groups");
        }
        var stored = new JsonObject();
        if (domains.Count > 0)
            stored["email_domains"] = new JsonArray([.. domains.Order(StringComparer.Ordinal).Select(d => (JsonNode?)d)]);
        if (map.Count > 0)
            stored["groups"] = map;
        return (stored.ToJsonString(), groups);
    }

    private static List<string> Domains(ObjectReader entry, string member) =>
        [.. entry.Texts(member, ApplyGrammar.IsDomain, "a domain in lower case, e.g. example.com").Select(d => d.Value)];
}
