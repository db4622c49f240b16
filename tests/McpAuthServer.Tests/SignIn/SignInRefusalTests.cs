using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.People;
using McpAuthServer.Tests.Harness;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.SignIn;

/// <summary>Whatever is wrong with a name and a password: one answer, the same work, one event.</summary>
public sealed class SignInRefusalTests : IAsyncLifetime
{
    private readonly TestServer server = new();
    private readonly CountingHasher hasher = new();

    public Task InitializeAsync()
    {
        server.Replace = services => services.AddSingleton<IPasswordHasher<Account>>(hasher);
        (server.Settings["McpAuth:RateLimits:SignIn:Account:PerMinute"], server.Settings["McpAuth:RateLimits:SignIn:Account:Burst"]) = ("6", "15");
        return server.InitializeAsync();
    }

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task SignIn_AnythingWrong_SameAnswerSameWorkAndOneEventWithTheReason()
    {
        var s = await server.ScenarioAsync();
        var (locked, disabled) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        for (var i = 0; i < 5; i++)
            await RefusedAsync(locked.Person.Email, "a wrong password", PasswordProof.WrongPassword, locked.Person.Id);
        disabled.File["users"]![0]!["enabled"] = false;
        await server.ApplyAsync(disabled.File.ToJsonString());
        await server.ApplyAsync($$"""{"users": [{"id": "usr_without", "name": "W", "email": "without@people.test"}]}""");

        var texts = new HashSet<string>
        {
            await RefusedAsync("nobody@people.test", s.Person.Password, PasswordProof.UnknownAccount, null),
            await RefusedAsync("not an address", s.Person.Password, PasswordProof.UnknownAccount, null),
            await RefusedAsync(new string('x', 5000), s.Person.Password, PasswordProof.UnknownAccount, null),
            await RefusedAsync("without@people.test", s.Person.Password, PasswordProof.UnknownAccount, "usr_without"),
            await RefusedAsync(s.Person.Email, s.Person.Password.ToUpperInvariant(), PasswordProof.WrongPassword, s.Person.Id),
            await RefusedAsync(s.Person.Email, s.Person.Password + " ", PasswordProof.WrongPassword, s.Person.Id),
            await RefusedAsync(s.Person.Email, "", PasswordProof.WrongPassword, s.Person.Id),
            await RefusedAsync(locked.Person.Email, locked.Person.Password, PasswordProof.LockedOut, locked.Person.Id),
            await RefusedAsync(locked.Person.Email, "a wrong password", PasswordProof.LockedOut, locked.Person.Id),
            await RefusedAsync(disabled.Person.Email, disabled.Person.Password, Names.Reasons.UserDisabled, disabled.Person.Id),
        };

        Assert.Single(texts);
        Assert.Equal(0, await server.ScalarAsync("select count(*) from sessions"));
    }

    [Fact]
    public async Task SignIn_FiveWrongGuesses_LocksTheAccountForFiveMinutes()
    {
        var s = await server.ScenarioAsync();
        for (var i = 0; i < 4; i++)
            await RefusedAsync(s.Person.Email, "a wrong password", PasswordProof.WrongPassword, s.Person.Id);
        // The right password forgets the wrong ones.
        await new TestBrowser(server).SignInAsync(s.Person);
        for (var i = 0; i < 5; i++)
            await RefusedAsync(s.Person.Email, "a wrong password", PasswordProof.WrongPassword, s.Person.Id);

        server.Time.Advance(TimeSpan.FromMinutes(5) - TimeSpan.FromMilliseconds(1));
        await RefusedAsync(s.Person.Email, s.Person.Password, PasswordProof.LockedOut, s.Person.Id);
        server.Time.Advance(TimeSpan.FromMilliseconds(1));
        await new TestBrowser(server).SignInAsync(s.Person);
    }

    [Fact]
    public async Task SignIn_GuessesAtOnce_AreAllCountedUntilTheAccountIsLocked()
    {
        var s = await server.ScenarioAsync();
        var mark = await server.NowAsync();

        await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => new TestBrowser(server).TrySignInAsync(s.Person.Email, "a wrong password")));

        var reasons = (await server.SinceAsync(mark)).Select(e => e.Reason).ToList();
        Assert.Equal([.. Enumerable.Repeat(PasswordProof.WrongPassword, 5), .. Enumerable.Repeat(PasswordProof.LockedOut, 7)], reasons);
        await RefusedAsync(s.Person.Email, s.Person.Password, PasswordProof.LockedOut, s.Person.Id);
    }

    [Fact]
    public async Task SignIn_LockedWhileThePasswordIsVerified_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var release = hasher.HoldNext();
        var waiting = new TestBrowser(server).TrySignInAsync(s.Person.Email, s.Person.Password);
        await hasher.Held.WaitAsync(TimeSpan.FromSeconds(20));

        // As another node would.
        await using (var scope = server.Services.CreateAsyncScope())
        {
            var accounts = scope.ServiceProvider.GetRequiredService<UserManager<Account>>();
            var account = (await accounts.FindByIdAsync(s.Person.Id))!;
            account.LockoutEnd = server.Time.GetUtcNow().AddMinutes(5);
            scope.ServiceProvider.GetRequiredService<PeopleContext>().Record(new AccountChange(People.AccountEvents.Some(server)));
            Assert.True(await accounts.SavedAsync(account));
        }
        release.SetResult();

        Assert.Equal(HttpStatusCode.OK, (await waiting).Status);
        Assert.Equal(0, await server.ScalarAsync("select count(*) from sessions"));
        Assert.Equal(PasswordProof.LockedOut, (await server.EventsAsync())[^1].Reason);
    }

    [Fact]
    public async Task SignIn_PasswordChangedWhileTheOldOneIsVerified_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var release = hasher.HoldNext();
        var waiting = new TestBrowser(server).TrySignInAsync(s.Person.Email, s.Person.Password);
        await hasher.Held.WaitAsync(TimeSpan.FromSeconds(20));

        await using (var scope = server.Services.CreateAsyncScope())
        {
            var accounts = scope.ServiceProvider.GetRequiredService<UserManager<Account>>();
            var account = (await accounts.FindByIdAsync(s.Person.Id))!;
            account.SetPassword(hasher, "another password");
            scope.ServiceProvider.GetRequiredService<PeopleContext>().Record(new AccountChange(People.AccountEvents.Some(server)));
            Assert.True(await accounts.SavedAsync(account));
        }
        release.SetResult();

        Assert.Equal(HttpStatusCode.OK, (await waiting).Status);
        Assert.Equal(0, await server.ScalarAsync("select count(*) from sessions"));
        Assert.Equal(PasswordProof.WrongPassword, (await server.EventsAsync())[^1].Reason);
    }

    [Fact]
    public async Task SignIn_HashOfFewerIterations_IsRenewedOnce()
    {
        var s = await server.ScenarioAsync();
        var weak = new PasswordHasher<Account>(Microsoft.Extensions.Options.Options.Create(new PasswordHasherOptions { IterationCount = Passwords.LeastIterations }));
        await server.ApplyAsync($$"""{"users": [{"id": "usr_weak", "name": "W", "email": "weak@people.test", "password_hash": "{{weak.HashPassword(new Account(), s.Person.Password)}}"}]}""");

        await new TestBrowser(server).SignInAsync(new TestPerson("usr_weak", "weak@people.test"));
        Assert.Equal(1, hasher.Hashed);
        await new TestBrowser(server).SignInAsync(new TestPerson("usr_weak", "weak@people.test"));
        Assert.Equal(1, hasher.Hashed);
    }

    [Fact]
    [Trait("Attack", "167")]
    public async Task SignIn_PasswordOfAMegabyte_IsRefusedUnread()
    {
        var s = await server.ScenarioAsync();
        var before = hasher.Verified;

        var answer = await new TestBrowser(server).TrySignInAsync(s.Person.Email, new string('x', 1_000_000));

        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, before), (answer.Status, hasher.Verified));
    }

    [Fact]
    [Trait("Attack", "167")]
    public async Task SignIn_MoreAtOnceThanThereIsRoomFor_AreSentAway()
    {
        var s = await server.ScenarioAsync();
        var release = hasher.HoldAll();
        var browsers = await Task.WhenAll(Enumerable.Range(0, 500).Select(async i =>
        {
            var browser = new TestBrowser(server);
            return (Browser: browser, Page: await browser.GetAsync(Names.Paths.SignIn), Number: i);
        }));

        var attempts = browsers.Select(b => b.Browser.PostFormAsync(b.Page, new() { ["email"] = $"nobody{b.Number}@people.test", ["password"] = s.Person.Password })).ToList();
        var sentAway = 0;
        while (sentAway < 500 - SignInGate.Room)
        {
            var done = await Task.WhenAny(attempts).WaitAsync(TimeSpan.FromSeconds(60));
            attempts.Remove(done);
            Assert.Equal(HttpStatusCode.TooManyRequests, (await done).Status);
            sentAway++;
        }
        Assert.InRange(hasher.Verified, 0, Math.Max(2, Environment.ProcessorCount));
        release.SetResult();

        Assert.All(await Task.WhenAll(attempts), page => Assert.Equal(HttpStatusCode.OK, page.Status));
        // One event of all that were sent away.
        var e = Assert.Single(await server.EventsAsync($"type = '{AuditTypes.AbuseLimited}'"));
        Assert.Equal(("sign_in", "node"), (e.Reason, (string?)e.Data!["by"]));
        await new TestBrowser(server).SignInAsync(s.Person);
    }

    [Fact]
    public async Task SignIn_NameThatFailedTooOften_IsNotTriedWhetherOrNotAnybodyHasIt()
    {
        var (s, other) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        foreach (var (email, user) in new[] { (s.Person.Email, s.Person.Id), ("nobody@people.test", null) })
        {
            await Task.WhenAll(Enumerable.Range(0, 15).Select(_ => new TestBrowser(server).TrySignInAsync(email, "a wrong password")));
            var (mark, before) = (await server.NowAsync(), hasher.Verified);

            // Spelt as one likes.
            foreach (var spelt in new[] { email, email.ToUpperInvariant(), email })
            {
                var answer = await new TestBrowser(server).TrySignInAsync(spelt, s.Person.Password);
                Assert.Equal((HttpStatusCode.TooManyRequests, (TimeSpan?)TimeSpan.FromSeconds(PasswordProof.RetryAfter)), (answer.Status, answer.Headers.RetryAfter?.Delta));
                Assert.Contains("too many attempts", answer.Text, StringComparison.Ordinal);
            }

            Assert.Equal(before, hasher.Verified);
            var e = Assert.Single(await server.SinceAsync(mark));
            Assert.Equal((AuditTypes.AbuseLimited, "sign_in", "account", user), (e.Type, e.Reason, (string?)e.Data!["by"], e.User));
            Assert.DoesNotContain("nobody", e.ToString(), StringComparison.OrdinalIgnoreCase);
        }

        // Others sign in; and so does it when the minute has brought something back, and the lock has ended.
        await new TestBrowser(server).SignInAsync(other.Person);
        server.Time.Advance(TimeSpan.FromMinutes(5));
        // Who is right uses nothing up.
        for (var i = 0; i < 20; i++)
            await new TestBrowser(server).SignInAsync(s.Person);
    }

    /// <returns>The answer's text, without what was typed.</returns>
    private async Task<string> RefusedAsync(string email, string password, string reason, string? user)
    {
        var browser = new TestBrowser(server);
        var (mark, before) = (await server.NowAsync(), hasher.Verified);

        var answer = await browser.TrySignInAsync(email, password);

        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.False(browser.HasSession);
        Assert.Equal(before + 1, hasher.Verified);
        Assert.All(hasher.Costs, cost => Assert.Equal(Passwords.Iterations, cost));
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.SignInFailed, "refused", reason, user), (e.Type, e.Outcome, e.Reason, e.User));
        Assert.Equal(email, answer.Form()["email"]);
        return answer.Text;
    }

    /// <summary>Counts what is verified, can hold it up, and works as the server's own does.</summary>
    private sealed class CountingHasher : IPasswordHasher<Account>
    {
        private readonly PasswordHasher<Account> inner = new(Microsoft.Extensions.Options.Options.Create(new PasswordHasherOptions { IterationCount = Passwords.Iterations }));
        private readonly System.Collections.Concurrent.ConcurrentQueue<int> costs = new();
        private TaskCompletionSource? next, all;
        private TaskCompletionSource held = New();
        private int verified, hashed;

        public int Verified => verified;
        public int Hashed => hashed;

        /// <summary>Iterations of the hashes that passwords were compared with, but for those that were to be renewed.</summary>
        public IReadOnlyCollection<int> Costs => costs;
        public Task Held => held.Task;

        public TaskCompletionSource HoldNext()
        {
            held = New();
            return next = New();
        }

        public TaskCompletionSource HoldAll() => all = New();

        public string HashPassword(Account user, string password)
        {
            Interlocked.Increment(ref hashed);
            return inner.HashPassword(user, password);
        }

        public PasswordVerificationResult VerifyHashedPassword(Account user, string hashedPassword, string providedPassword)
        {
            Interlocked.Increment(ref verified);
            costs.Enqueue(System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(Convert.FromBase64String(hashedPassword).AsSpan(5)));
            if (Interlocked.Exchange(ref next, null) is { } hold)
            {
                held.SetResult();
                hold.Task.Wait(TimeSpan.FromSeconds(30));
            }
            all?.Task.Wait(TimeSpan.FromSeconds(60));
            return inner.VerifyHashedPassword(user, hashedPassword, providedPassword);
        }

        private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
