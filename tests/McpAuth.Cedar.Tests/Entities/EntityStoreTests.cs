using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Values;
using static McpAuth.Cedar.Tests.Data.Samples;

namespace McpAuth.Cedar.Tests.Entities;

public class EntityStoreTests
{
    private static string[] Ancestors(EntityStore store, EntityUid uid) => [.. store.Find(uid)!.Ancestors.Select(a => a.Id).Order(StringComparer.Ordinal)];

    [Fact]
    public void Store_Hierarchy_IsClosed()
    {
        EntityStore store = EntityStore.Of([In(User("u"), Group("a"), Group("b")), In(Group("a"), Group("c")), In(Group("b"), Group("c"), Group("x")), In(Group("c"), Group("d"))]).Value;
        Assert.Equal(["a", "b", "c", "d", "x"], Ancestors(store, User("u")));
        Assert.Equal(["c", "d", "x"], Ancestors(store, Group("b")));
        Assert.True(store.Find(User("u"))!.IsIn(Group("d")));
        Assert.True(store.Find(User("u"))!.IsIn(User("u")));
        Assert.False(store.Find(Group("d") is var d ? Group("c") : d)!.IsIn(User("u")));
        Assert.Null(store.Find(Group("d")));
    }

    [Fact]
    public void Store_EntitiesInOneAnother_AreRefusedAndNamed()
    {
        Parsed<EntityStore> parsed = EntityStore.Of([In(User("u"), Group("a")), In(Group("a"), Group("b")), In(Group("b"), Group("c")), In(Group("c"), Group("a"))]);
        Assert.Equal("Entities are in one another: Group::\"a\" in Group::\"b\" in Group::\"c\" in Group::\"a\".", Assert.Single(parsed.Diagnostics).Message);
        Assert.Equal("cycle", parsed.Diagnostics[0].Code);
        Assert.Equal("cycle", Assert.Single(EntityStore.Of([In(Group("a"), Group("a"))]).Diagnostics).Code);
    }

    [Fact, Trait("Attack", "137")]
    public async Task Store_ChainAsLongAsADocument_IsRefusedAtOnce()
    {
        EntityDescription[] chain = [.. Enumerable.Range(0, 200_000).Select(i => In(Group($"{i}"), Group($"{i + 1}")))];
        Parsed<EntityStore> parsed = await Task.Run(() => EntityStore.Of(chain)).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal("hierarchy_too_large", Assert.Single(parsed.Diagnostics).Code);
    }

    [Fact, Trait("Attack", "137")]
    public async Task Store_LongCircle_IsNamedInAShortMessage()
    {
        EntityDescription[] circle = [.. Enumerable.Range(0, 100_000).Select(i => In(Group($"{i}"), Group($"{(i + 1) % 100_000}")))];
        Parsed<EntityStore> parsed = await Task.Run(() => EntityStore.Of(circle)).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal("cycle", Assert.Single(parsed.Diagnostics).Code);
        Assert.True(parsed.Diagnostics[0].Message.Length < 400);
    }

    [Fact]
    public void Store_ManyEntitiesWithTheSameParents_ShareTheirAncestors()
    {
        EntityDescription[] users = [.. Enumerable.Range(0, 1000).Select(i => In(User($"{i}"), Group("a")))];
        EntityStore store = EntityStore.Of([.. users, .. Enumerable.Range(0, 20).Select(i => In(Group($"{(char)('a' + i)}"), Group($"{(char)('b' + i)}")))]).Value;
        Assert.Equal(21, store.Find(User("7"))!.Ancestors.Length);
        Assert.Same(store.Find(User("7"))!.Ancestors, store.Find(User("8"))!.Ancestors);
        Assert.True(store.Find(User("7"))!.IsIn(Group("u")));
        Assert.False(store.Find(User("7"))!.IsIn(Group("v")));
    }

    [Fact]
    public void Store_EntityDescribedTwice_IsRefusedUnlessBothSayTheSame()
    {
        EntityDescription a = new(User("a"), Record(("x", Value.Of(1))), Group("g"), Group("h"));
        Assert.Equal(1, EntityStore.Of([a, new(User("a"), Record(("x", Value.Of(1))), Group("h"), Group("g"))]).Value.Count);
        foreach (EntityDescription other in new[] { a with { Attributes = Record() }, a with { Parents = [Group("g")] }, a with { Tags = Record(("t", Value.True)) } })
            Assert.Equal("duplicate_entity", Assert.Single(EntityStore.Of([a, other]).Diagnostics).Code);
    }

    [Fact]
    public void Overlay_EntitiesOfOneRequest_SeeTheStoreBelow()
    {
        EntityStore shared = EntityStore.Of([In(Group("a"), Group("b")), In(User("old"), Group("a"))]).Value;
        EntityStore store = shared.With(In(Uid("Agent", "x"), Group("a")), In(Group("session"), Group("b"))).Value;
        Assert.Equal(["a", "b"], Ancestors(store, Uid("Agent", "x")));
        Assert.Same(shared.Find(User("old")), store.Find(User("old")));
        Assert.Equal((2, 4), (shared.Count, store.Count));
        Assert.Equal(["Agent::\"x\"", "Group::\"a\"", "Group::\"session\"", "User::\"old\""], store.Entities.Select(e => e.Uid.ToString()).Order(StringComparer.Ordinal));
        Assert.Null(shared.Find(Uid("Agent", "x")));
    }

    [Fact]
    public void Overlay_EntityOfTheStoreBelow_TakesItsPlace()
    {
        EntityStore shared = EntityStore.Of([In(User("u"), Group("a")), In(Group("a"), Group("b")), In(Group("b"), Group("c"))]).Value;
        EntityStore store = shared.With(In(Group("b"), Group("d"))).Value;
        Assert.Equal(3, store.Count);
        Assert.Equal(["a", "b", "d"], Ancestors(store, User("u")));
        Assert.Equal(["a", "b", "c"], Ancestors(shared, User("u")));
        Assert.Equal(["a", "b", "c"], Ancestors(store.With(In(Group("b"), Group("c"))).Value, User("u")));
        Assert.Equal(["a", "b"], Ancestors(store.With(In(Group("b"))).Value, User("u")));
    }

    [Fact]
    public void Overlay_ParentThatWasNotThereBefore_IsInWhatItIsInFor_ThoseBelow()
    {
        EntityStore shared = EntityStore.Of([In(User("u"), Group("a"))]).Value;
        Assert.Equal(["a", "b", "c"], Ancestors(shared.With(In(Group("a"), Group("b"))).Value.With(In(Group("b"), Group("c"))).Value, User("u")));
    }

    [Fact]
    public void Overlay_ThatClosesACircle_IsRefused()
    {
        EntityStore shared = EntityStore.Of([In(Group("a"), Group("b")), In(Group("b"), Group("c"))]).Value;
        Assert.Equal("cycle", Assert.Single(shared.With(In(Group("c"), Group("a"))).Diagnostics).Code);
        Assert.Equal("cycle", Assert.Single(shared.With(In(Group("c"), Group("d"))).Value.With(In(Group("d"), Group("a"))).Diagnostics).Code);
    }

    [Fact]
    public void Overlay_AnyOrderOfLaying_GivesWhatOneStoreGives()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            EntityDescription Any(int id) => In(Group($"{id}"), [.. Enumerable.Range(id + 1, 9 - id).Where(_ => random.Next(3) == 0).Select(p => Group($"{p}"))]);
            var last = new Dictionary<EntityUid, EntityDescription>();
            EntityStore laid = EntityStore.Empty;
            for (int layer = 0; layer < 4; layer++)
            {
                EntityDescription[] some = [.. Enumerable.Range(0, 9).Where(_ => random.Next(2) == 0).Select(Any)];
                foreach (EntityDescription entity in some) last[entity.Uid] = entity;
                laid = laid.With(some).Value;
                EntityStore whole = EntityStore.Of(last.Values).Value;
                Assert.Equal(whole.Count, laid.Count);
                Assert.Equal(whole.ToJson(), laid.ToJson());
                foreach (Entity entity in whole.Entities) Assert.True(Ancestors(whole, entity.Uid).SequenceEqual(Ancestors(laid, entity.Uid)), $"seed {seed}, {entity.Uid}");
                if (layer == 0) laid = whole; // the layers above are laid over a store that is no overlay
            }
        }
    }

    [Fact]
    public void Schema_EntitiesOfAProgram_AreChecked()
    {
        Assert.Equal(["wrong_type User::\"a\".attrs.home"], Errors(EntityStore.Of([new(User("a"), Record(("home", Value.Of("::1"))))], Schema)));
        Assert.Equal(["wrong_parent_type User::\"a\".parents"], Errors(EntityStore.Of([In(User("a"), User("b"))], Schema)));
        Assert.Equal(["unknown_entity_type Usr::\"a\""], Errors(EntityStore.Empty.With([In(Uid("Usr", "a"))], Schema)));
        Assert.True(EntityStore.Of([In(User("a"), Group("g"), Uid("Org", "o"))], Schema).Ok);
    }
}
