using McpAuth.Protocol;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Federation;

/// <summary>Who an assertion's subject is here, and what has to be written for that.</summary>
/// <param name="Link">The origin of a link that is new; null where there is one.</param>
/// <param name="IsNew">Whether the person begins with it.</param>
/// <param name="Joins">Groups of this server that the provider puts the person in; <paramref name="Leaves"/>: those it takes them out of.</param>
internal sealed record FederatedPerson(Person Person, string? Link, bool IsNew, IReadOnlyList<string> Joins, IReadOnlyList<string> Leaves)
{
    public const string Linked = "linked", Provisioned = "provisioned";

    public bool Changes => Link is not null || Joins.Count > 0 || Leaves.Count > 0;
}

/// <summary>Finds the person whom a provider's subject is: by a link, or by a rule of the provider's record. Never by an address alone without such a rule.</summary>
internal sealed class Subjects(IReadStore store, PersonStore people)
{
    public const string Unknown = "unknown_subject", NotAdmitted = "not_admitted", AddressTaken = "address_taken", Ambiguous = "ambiguous_address";

    private static readonly Sql
        LinkOf = new("select user_id, origin from identities where provider_id = @provider and subject = @subject"),
        ByEmail = new("select id from users where lower(email) = @email order by id");

    /// <returns>A fault whose code is a reason.</returns>
    public async Task<Result<FederatedPerson>> FindAsync(IdJag assertion, DateTimeOffset now, CancellationToken cancel)
    {
        var by = assertion.Provider;
        if (await LinkedAsync(assertion, cancel) is { } linked)
            return linked;

        var holders = assertion.Email is { } email ? await store.All(ByEmail.With(EmailKey(email)), r => r.GetString(0), cancel) : [];
        if (assertion.Email is { } address && by.LinkDomains.Contains(DomainOf(address)) && holders.Count > 0)
            return holders is not [var only] ? new Fault(Ambiguous, "More than one user has the person's address.")
                : (await LinkedAsync(only, null, assertion, cancel)).TryGet(out var known, out var disabled) ? known with { Link = FederatedPerson.Linked } : disabled;
        if (by.Provision is not { } rule)
            return new Fault(Unknown, "Nobody here is the assertion's subject.");
        if (!Admits(rule, assertion))
            return new Fault(NotAdmitted, "The identity provider's rule does not admit the person.");
        // Who has it already may be somebody else; only an administrator can say that they are one. Unless it is the subject, who came to another node a moment ago.
        if (holders.Count > 0)
            return await LinkedAsync(assertion, cancel) ?? new Fault(AddressTaken, "A user here has the person's address, and nothing says that they are the same.");
        var groups = Mapped(rule, assertion);
        return new FederatedPerson(
            new Person(Id.New(Id.User, now), assertion.Name ?? assertion.Email ?? assertion.Subject[..Math.Min(assertion.Subject.Length, 200)], assertion.Email, Enabled: true, Administrator: false, groups),
            FederatedPerson.Provisioned, IsNew: true, groups, []);
    }

    /// <summary>As addresses are compared, and stand in the index.</summary>
    public static string EmailKey(string email) => email.ToLowerInvariant();

    /// <summary>The person whom the subject is linked to; null when there is no link.</summary>
    private async Task<Result<FederatedPerson>?> LinkedAsync(IdJag assertion, CancellationToken cancel) =>
        await store.First(LinkOf.With(assertion.Provider.Id, assertion.Subject), r => ((string User, string Origin)?)(r.GetString(0), r.GetString(1)), cancel) is { } link
            ? await LinkedAsync(link.User, link.Origin == FederatedPerson.Provisioned ? assertion.Provider.Provision : null, assertion, cancel) : (Result<FederatedPerson>?)null;

    /// <param name="rule">By which the person came; it must still hold, and their groups follow it.</param>
    private async Task<Result<FederatedPerson>> LinkedAsync(string user, ProvisionRule? rule, IdJag assertion, CancellationToken cancel)
    {
        if (await people.Find(user, cancel) is not { Enabled: true } person)
            return new Fault(Names.Reasons.UserDisabled, "The person's account is disabled.");
        if (rule is null)
            return new FederatedPerson(person, null, IsNew: false, [], []);
        if (!Admits(rule, assertion))
            return new Fault(NotAdmitted, "The identity provider's rule no longer admits the person.");
        var now = Mapped(rule, assertion);
        List<string> leaves = [.. person.Groups.Intersect(rule.Groups.Values, StringComparer.Ordinal).Except(now, StringComparer.Ordinal)];
        List<string> groups = [.. person.Groups.Except(leaves, StringComparer.Ordinal).Union(now, StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        return new FederatedPerson(person with { Groups = groups }, null, IsNew: false, [.. now.Except(person.Groups, StringComparer.Ordinal)], leaves);
    }

    private static bool Admits(ProvisionRule rule, IdJag assertion) =>
        (rule.Domains.Count == 0 || (assertion.Email is { } email && rule.Domains.Contains(DomainOf(email))))
        && (rule.Groups.Count == 0 || assertion.Groups.Any(rule.Groups.ContainsKey));

    private static List<string> Mapped(ProvisionRule rule, IdJag assertion) =>
        [.. assertion.Groups.Where(rule.Groups.ContainsKey).Select(g => rule.Groups[g]).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    private static string DomainOf(string email) => EmailKey(email[(email.LastIndexOf('@') + 1)..]);
}
