using McpAuthServer.Authorizations;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry.Apply;

/// <summary>Writes identity providers and whom their subjects are; what loses its footing by that ends in the same transaction (invariant 3).</summary>
internal static class ApplyProviders
{
    public const string Ended = "provider_ended";

    private static readonly UpsertTable Providers = new(
        "identity_providers", ["id"], ["name", "issuer", "jwks", "jwks_uri", "clients", "link_domains", "provision", "state"], []);

    private static readonly Sql
        LinksOf = new("select subject, user_id from identities where provider_id = @provider and origin = 'registered'"),
        Link = new(
            """
            insert into identities (provider_id, subject, user_id, origin, created_at) values (@provider, @subject, @user, 'registered', @now)
            on conflict (provider_id, subject) do update set user_id = excluded.user_id, origin = excluded.origin
            """),
        Unlink = new("delete from identities where provider_id = @provider and subject = @subject"),
        People = new("select distinct user_id from identities where provider_id = @provider"),
        Standing = new("select id, user_id, client_id from consents where provider_id = @provider and state = 'active' order by id");

    public static void Write(ApplyChanges changes, AppliedProvider provider)
    {
        var (tx, stored) = (changes.Tx, Providers.Read(changes.Tx, provider.Id));
        var state = provider.State ?? (string?)stored?[7] ?? RegistryState.Active;
        var clients = provider.Clients.Select(c => c.Value).ToHashSet(StringComparer.Ordinal);
        IEnumerable<string> members = Providers.Write(
            tx, [provider.Id], stored,
            [provider.Name, provider.Issuer.Value, provider.Jwks, provider.JwksUri, StoredText.FromSet(clients), StoredText.FromSet(provider.LinkDomains), provider.Provision, state], changes.Now);

        var before = tx.All(LinksOf.With(provider.Id), r => (Subject: r.GetString(0), User: r.GetString(1)));
        var after = provider.Links.Select(l => (l.Subject, User: l.User.Value)).ToList();
        var (gone, come) = (before.Except(after).ToList(), after.Except(before).ToList());
        foreach (var (subject, _) in gone)
            tx.Run(Unlink.With(provider.Id, subject));
        foreach (var (subject, user) in come)
            tx.Run(Link.With(provider.Id, subject, user, changes.Now));
        if (gone.Count + come.Count > 0)
            members = members.Append("links");
        changes.Note("identity_provider", provider.Id, stored is null, members);

        // Only where something was taken away: a provider may stand behind very many people. A link that is new may have been somebody else's by a rule.
        if (stored is null || (state == RegistryState.Active && gone.Count + come.Count == 0 && clients.IsSupersetOf(StoredText.ToSet((string)stored[4]!))))
            return;
        var people = tx.All(People.With(provider.Id), r => r.GetString(0)).ToHashSet(StringComparer.Ordinal);
        foreach (var (consent, user, client) in tx.All(Standing.With(provider.Id), r => (r.GetString(0), r.GetString(1), r.GetString(2))))
            if (state != RegistryState.Active || !clients.Contains(client) || !people.Contains(user))
                changes.Effects(ConsentEnding.Withdraw(tx, consent, Ended, changes.Initiator, cause: null, changes.At, node: null));
    }
}
